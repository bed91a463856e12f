"""``tmpenv register``."""

import json
from typing import Annotated, Any

import typer

from spawner.units import parse_duration
from web.commands.asking import Tmpenv, asking
from web.commands.options import AsJson
from web.start_errors import AskedWrongly


@asking
def register(
    tmpenv: Tmpenv,
    *,
    image: Annotated[str, typer.Option(help="Image, as Docker names it", show_default=False)],
    name: Annotated[
        str | None, typer.Option(help="What to call the template; by the image where unset")
    ] = None,
    title: Annotated[str | None, typer.Option(help="What visitors read")] = None,
    port: Annotated[int | None, typer.Option(help="Where it listens; 8888 where unset")] = None,
    command: Annotated[
        str | None,
        typer.Option(help="What runs; {base_path}, {ip}, {port} and {token} are filled in"),
    ] = None,
    urlpath: Annotated[str | None, typer.Option(help="Where visitors arrive: lab")] = None,
    memory: Annotated[str | None, typer.Option(help="The most memory: 512M, 2G")] = None,
    cpus: Annotated[str | None, typer.Option(help="The most processors: 0.5, 2")] = None,
    cull_timeout: Annotated[
        str | None, typer.Option(help="Ended after so long without use: 30m, or seconds")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="Variable of its environments", metavar="NAME=VALUE")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register an image as a template, in place of the one of its name."""
    limits = {key: one for key, one in (("memory", memory), ("cpu", cpus)) if one is not None}
    template = tmpenv.client.register(
        image,
        name=name,
        title=title,
        port=port,
        command=command,
        urlpath=urlpath,
        limits=limits or None,
        cull_timeout=None if cull_timeout is None else _seconds(cull_timeout),
        env=_variables(env or []) or None,
    )
    if as_json:
        typer.echo(json.dumps(template.document, indent=2))
        return
    typer.echo(f"{template.name}: registered, from {template.image}")
    typer.echo(f"Launch it: {tmpenv.hint('launch', '--template', template.name)}")


def _seconds(text: str) -> float:
    try:
        duration: Any = parse_duration(int(text) if text.isdecimal() else text)
        return float(duration.total_seconds())
    except (ValueError, OverflowError, AttributeError) as error:
        raise AskedWrongly(f'--cull-timeout: "{text}" is no duration; write 30m') from error


def _variables(given: list[str]) -> dict[str, str]:
    parted = [one.partition("=") for one in given]
    for name, equals, _ in parted:
        if not (name and equals):
            # The rest may be a secret.
            raise AskedWrongly(f"--env: write NAME=VALUE, not only {name or 'a value'}")
    return {name: value for name, _, value in parted}
