"""``tmpenv template``: the templates of a running tmpenv, as a file and back."""

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any

import typer

from web.commands.asking import EPILOG, Tmpenv, asking
from web.commands.options import AsJson
from web.config_errors import ConfigError, Source
from web.recipe_changes import changes
from web.recipe_checks import Recipes, read_recipes
from web.recipe_file import write_recipes
from web.start_errors import StartError

_PATH = "/api/catalogue"

app = typer.Typer(
    help="Export, import, list and remove the templates of a running tmpenv.",
    no_args_is_help=True,
)


@app.command("export", epilog=EPILOG)
@asking
def export(
    tmpenv: Tmpenv,
    *,
    names: Annotated[
        list[str] | None, typer.Argument(help="All where none", metavar="NAME")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write, which only its owner may read")
    ] = None,
) -> None:
    """Print templates and pools as TOML, which --config reads and import takes.

    Their variables are printed as they are, secrets among them.
    """
    recipes = _recipes_of(_ask_all(tmpenv))
    for name in names or ():
        if name not in recipes.templates:
            raise StartError(f'there is no template "{name}"; see tmpenv template list')
    wanted = {name: recipes.templates[name] for name in names or recipes.templates}
    text = write_recipes(wanted, recipes.pools)
    if output is None:
        typer.echo(text, nl=False)
    else:
        _write_privately(output, text)


@app.command("import", epilog=EPILOG)
@asking
def import_(
    tmpenv: Tmpenv,
    *,
    file: Annotated[str, typer.Argument(help="TOML file, - for standard input", metavar="FILE")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Change those there are")] = False,
) -> None:
    """Put the templates and pools of a file; say what that adds and changes.

    The file may be a whole configuration; the rest of it is not looked at. What
    the configuration of the server declares is left alone, and without --replace
    so is what differs. Exit code 1 if anything was left alone, else 0.
    """
    wanted = _read(file)
    found = changes(wanted, _ask_all(tmpenv), replace=replace)
    for change in found:
        if change.is_made and not dry_run:
            tmpenv.ask("PUT", f"{_PATH}/{change.name}", body=change.body)
        typer.echo(change.line)
    if any(change.is_left for change in found):
        raise typer.Exit(1)


@app.command("list", epilog=EPILOG)
@asking
def list_(
    tmpenv: Tmpenv,
    *,
    as_json: AsJson = False,
) -> None:
    """List the templates, and whether the configuration declares them."""
    shown = _ask_all(tmpenv)
    if as_json:
        typer.echo(json.dumps({"recipes": shown}, indent=2))
        return
    recipes = _recipes_of(shown)
    for one in shown:
        pool = recipes.pools[one["name"]]
        origin = "configuration" if one["declared"] else "put"
        typer.echo(f"{one['name']}: {origin}, up to {pool.size}, {pool.target} kept ready")


@app.command("remove", epilog=EPILOG)
@asking
def remove(
    tmpenv: Tmpenv,
    *,
    name: Annotated[str, typer.Argument(help="Template", metavar="NAME")],
) -> None:
    """Remove a template: its spares end, environments in use go on."""
    if name not in [one["name"] for one in _ask_all(tmpenv)]:
        raise StartError(f'there is no template "{name}"; see tmpenv template list')
    tmpenv.ask("DELETE", f"{_PATH}/{name}")
    typer.echo(f"{name}: removed")


def _ask_all(tmpenv: Tmpenv) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = tmpenv.ask("GET", _PATH)["recipes"]
    return shown


def _recipes_of(shown: list[dict[str, Any]]) -> Recipes:
    return read_recipes(
        {
            "templates": {one["name"]: one["template"] for one in shown},
            "pools": {one["name"]: one["pool"] for one in shown},
        }
    )


def _read(file: str) -> Recipes:
    label = "standard input" if file == "-" else file
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        given = tomllib.loads(text)
    except OSError as error:
        raise ConfigError([f"tmpenv: {label}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"tmpenv: {label}: is no TOML: {error}"]) from error
    recipes: dict[str, object] = {key: given[key] for key in ("templates", "pools") if key in given}
    return read_recipes(recipes, [Source.of_file(Path(label), given)])


def _write_privately(path: Path, text: str) -> None:
    try:
        # Also where the file was there before, and others could read it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
            os.fchmod(descriptor, 0o600)
            file.write(text)
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}") from error
