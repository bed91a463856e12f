"""``tmpenv status``."""

import json
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import typer

from web.commands.asking import Tmpenv, asking
from web.commands.options import AsJson
from web.start_errors import AskedWrongly, StartError

_PERIOD_S = 2.0


@asking
def status(
    tmpenv: Tmpenv,
    *,
    seconds: Annotated[
        float | None,
        typer.Argument(
            metavar="SECONDS", help="With --watch: between two looks; 2 where unset", min=0.1
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C")] = (
        False
    ),
    as_json: AsJson = False,
) -> None:
    """Show the pools and environments of a running tmpenv.

    With --watch: on a terminal the whole screen, kept current; elsewhere a new
    block each time, or with --json a line of JSON each time.
    """
    if seconds is not None and not watch:
        raise AskedWrongly("SECONDS goes with --watch")
    look = partial(tmpenv.ask, "GET", "/api/status")
    if watch:
        # Ctrl-C is how watching ends.
        with suppress(KeyboardInterrupt):
            _watch(_Looks(look, seconds or _PERIOD_S), as_json=as_json)
    elif as_json:
        typer.echo(json.dumps(look(), indent=2))
    else:
        # Imported here: rich takes longer to load than all the rest of this command.
        from web.status_tables import console_for_output, show  # noqa: PLC0415

        show(look(), console_for_output())


class _Looks:
    """One look after the other: each a status, or why there is none now.

    The first must succeed: who named a wrong address is not to wait for it.
    """

    def __init__(self, look: "partial[dict[str, Any]]", period_s: float) -> None:
        self._look = look
        self._period_s = period_s
        self._has_begun = False

    def next(self) -> dict[str, Any] | StartError:
        """Wait for the time of the next look, and look.

        Raises:
            StartError: The first look failed.
        """
        if not self._has_begun:
            self._has_begun = True
            return self._look()
        time.sleep(self._period_s)
        try:
            return self._look()
        except StartError as error:
            return error


def _watch(looks: _Looks, *, as_json: bool) -> None:
    if as_json:
        _watch_lines(looks)
    elif sys.stdout.isatty():
        _watch_screen(looks)
    else:
        _watch_blocks(looks)


def _watch_lines(looks: _Looks) -> None:
    while True:
        seen = looks.next()
        if isinstance(seen, StartError):
            typer.echo(f"tmpenv: {seen}", err=True)
        else:
            typer.echo(json.dumps(seen))


def _watch_blocks(looks: _Looks) -> None:
    from web.status_tables import console_for_output, show  # noqa: PLC0415  # as above

    console = console_for_output()
    while True:
        seen = looks.next()
        if isinstance(seen, StartError):
            typer.echo(f"tmpenv: {seen}", err=True)
            continue
        show(seen, console)
        typer.echo()
        sys.stdout.flush()


def _watch_screen(looks: _Looks) -> None:
    from rich.live import Live  # noqa: PLC0415  # as above

    from web.status_tables import StatusScreen, console_for_output  # noqa: PLC0415

    console = console_for_output()
    screen = StatusScreen(_whole(looks.next()))
    with Live(screen, console=console, screen=True, refresh_per_second=4):
        while True:
            seen = looks.next()
            if isinstance(seen, StartError):
                screen.failed(str(seen), datetime.now(UTC))
            else:
                screen.seen(seen)


def _whole(seen: dict[str, Any] | StartError) -> dict[str, Any]:
    assert not isinstance(seen, StartError), "the first look raises"
    return seen
