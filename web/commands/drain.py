"""``tmpenv drain``."""

import time
from typing import Annotated, Any

import typer

from web.commands.asking import Tmpenv, asking
from web.start_errors import StartError

PATH = "/api/drain"
_PAUSE_S = 1.0
#: Whoever restarts answers again sooner than this.
_SILENT_S = 10.0


@asking
def drain(
    tmpenv: Tmpenv,
    *,
    off: Annotated[bool, typer.Option("--off", help="Take it back: hand out again")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Return when it has ended")] = False,
) -> None:
    """Hand out nothing more; tmpenv ends when the last visitor has left."""
    if off:
        tmpenv.ask("DELETE", PATH)
        typer.echo("Environments are handed out again.")
        return
    status = tmpenv.ask("POST", PATH)
    typer.echo(_told(status))
    if wait:
        _wait(tmpenv, status)


def _wait(tmpenv: Tmpenv, status: dict[str, Any]) -> None:
    """Tell what is left whenever that changes, until tmpenv has ended."""
    told = _told(status)
    answered = time.monotonic()
    while status["draining"]:
        time.sleep(_PAUSE_S)
        try:
            status = tmpenv.ask("GET", PATH)
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
