"""``tmpenv config``: the settings as ``tmpenv serve`` would have them."""

import inspect
import json
from collections.abc import Callable
from typing import Any

import typer

from web.commands.options import AsJson
from web.commands.serve import serve
from web.config_sources import gather
from web.start_errors import told_in_one_line

EPILOG = "Takes the flags of tmpenv serve. Exit codes: 0 done; 2 the settings are wrong."
config = typer.Typer(
    help="Check and show the settings, without starting anything.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def _with_flags_of_serve(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the flags of serve besides its own, as it would have those settings."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    flags = inspect.signature(serve, eval_str=True).parameters.values()
    parameters = [one for one in own if one.kind is not inspect.Parameter.VAR_KEYWORD]
    command.__signature__ = inspect.Signature([*parameters, *flags])  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in (*parameters, *flags)}
    return command


@config.command(epilog=EPILOG)
@_with_flags_of_serve
def check(**flags: Any) -> None:
    """Read all settings as serve would; print ok, or each fault in a line of its own.

    Certificates, keys and templates are looked at too. Nothing is started, and
    neither Redis nor Docker is asked.
    """
    # Imported here, as only this command needs to look so far.
    from web import config_check  # noqa: PLC0415

    with told_in_one_line():
        path = flags.pop("config")
        config_check.check(gather(flags=flags, config=path).settings)
        typer.echo("ok")


@config.command(epilog=EPILOG)
@_with_flags_of_serve
def show(*, as_json: AsJson = False, **flags: Any) -> None:
    """Print every setting in force, and where it came from; secrets are masked."""
    from web.config_shown import shown, toml  # noqa: PLC0415  # as above

    with told_in_one_line():
        path = flags.pop("config")
        settings = shown(gather(flags=flags, config=path))
        if as_json:
            rows = [
                {"key": list(one.location), "value": one.value, "source": one.source}
                for one in settings
            ]
            typer.echo(json.dumps(rows, indent=2))
        else:
            typer.echo(toml(settings), nl=False)
