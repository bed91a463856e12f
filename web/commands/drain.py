"""``tmpenv drain``."""

import time
from typing import Annotated, Any

import typer

from web.commands.options import (
    ApiKey,
    Config,
    Instance,
    Server,
    StateDir,
    Trusted,
    ask,
    client_settings,
)
from web.config import Settings
from web.start_errors import StartError, told_in_one_line

PATH = "/api/drain"
_PAUSE_S = 1.0
#: Whoever restarts answers again sooner than this.
_SILENT_S = 10.0


def drain(
    *,
    off: Annotated[bool, typer.Option("--off", help="Take it back: hand out again")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended")] = False,
    config: Config = None,
    server: Server = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    instance: Instance = None,
    ssl_cert: Trusted = None,
) -> None:
    """Hand out nothing more; tmpenv ends when the last visitor has left."""
    with told_in_one_line():
        settings = client_settings(
            config, api_key=api_key, state_dir=state_dir, instance=instance, ssl_cert=ssl_cert
        )
        if off:
            ask(settings, server, "DELETE", PATH)
            typer.echo("Environments are handed out again.")
            return
        status = ask(settings, server, "POST", PATH)
        typer.echo(_told(status))
        if wait:
            _wait(settings, server, status)


def _wait(settings: Settings, server: str | None, status: dict[str, Any]) -> None:
    """Tell what is left whenever that changes, until tmpenv has ended."""
    told = _told(status)
    answered = time.monotonic()
    while status["draining"]:
        time.sleep(_PAUSE_S)
        try:
            status = ask(settings, server, "GET", PATH)
        except StartError:
            if time.monotonic() - answered > _SILENT_S:
                typer.echo("Drained: tmpenv has ended.")
                return
            continue
        answered = time.monotonic()
        if status["draining"] and _told(status) != told:
            told = _told(status)
            typer.echo(told)
    raise StartError("the drain was taken back")


def _told(status: dict[str, Any]) -> str:
    return (
        "Nothing is handed out any more. "
        f"Left: {status['environments']} environments, {status['waiting']} that wait."
    )
