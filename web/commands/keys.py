"""``tmpenv keys``: the API keys of a running tmpenv."""

import json
from datetime import timedelta
from typing import Annotated
from urllib.parse import quote

import typer

from spawner.api_keys import is_key_name
from spawner.units import parse_duration
from web.commands.asking import EPILOG, Tmpenv, asking
from web.commands.options import AsJson
from web.scopes import GRANTED
from web.start_errors import AskedWrongly

_PATH = "/api/keys"

app = typer.Typer(
    help="List, make and revoke the API keys of a running tmpenv.", no_args_is_help=True
)


@app.command("list", epilog=EPILOG)
@asking
def list_(tmpenv: Tmpenv, *, as_json: AsJson = False) -> None:
    """List the keys: what each is good for, and until when."""
    answer = tmpenv.ask("GET", _PATH)
    if as_json:
        typer.echo(json.dumps(answer["keys"], indent=2))
        return
    if not answer["keys"]:
        typer.echo("no keys; make one with tmpenv keys make NAME --scope SCOPE")
        return
    for key in answer["keys"]:
        ends = key.get("expires_at")
        until = f"{'until' if not key['expired'] else 'over since'} {ends}" if ends else "for ever"
        typer.echo(f"{key['name']}: {', '.join(key['scopes'])}; {until}")


@app.command("make", epilog=EPILOG)
@asking
def make(
    tmpenv: Tmpenv,
    *,
    name: Annotated[str, typer.Argument(help="What to call it", metavar="NAME")],
    scopes: Annotated[
        list[str],
        typer.Option("--scope", help=f"What it is good for, once for each: {', '.join(GRANTED)}"),
    ],
    life: Annotated[
        str | None, typer.Option("--for", help="How long: 30d, 12h; for ever where unset")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: only a hash of it is kept."""
    _check_name(name)
    for scope in scopes:
        if scope not in GRANTED:
            raise AskedWrongly(f'"{scope}" is no scope; there are {", ".join(GRANTED)}')
    body = {"name": name, "scopes": scopes}
    if life is not None:
        body["life"] = str(_duration(life).total_seconds())
    made = tmpenv.ask("POST", _PATH, body=body)
    typer.echo(json.dumps(made, indent=2) if as_json else made["key"])


@app.command("revoke", epilog=EPILOG)
@asking
def revoke(
    tmpenv: Tmpenv,
    *,
    name: Annotated[str, typer.Argument(help="As tmpenv keys list shows it", metavar="NAME")],
    as_json: AsJson = False,
) -> None:
    """Revoke a key: it opens nothing from then on."""
    _check_name(name)
    revoked = tmpenv.ask("DELETE", f"{_PATH}/{quote(name)}")
    typer.echo(json.dumps(revoked, indent=2) if as_json else f"{name}: revoked")


def _check_name(name: str) -> None:
    if not is_key_name(name):
        raise AskedWrongly(
            f'"{name}" is no name of a key: write 1 to 40 of a-z, 0-9, dots and dashes'
        )


def _duration(text: str) -> timedelta:
    try:
        life = parse_duration(text)
    except ValueError as error:
        raise AskedWrongly(f"--for: {error}") from error
    assert isinstance(life, timedelta)
    return life
