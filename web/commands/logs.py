"""``tmpenv logs``."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated
from urllib.parse import urlencode

import typer

from web.commands.asking import Tmpenv, asking, check_id
from web.terminal_text import SafeText


@asking
def logs(
    tmpenv: Tmpenv,
    *,
    environment_id: Annotated[str, typer.Argument(help="Id of an environment", metavar="ID")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until it ends, or Ctrl-C")
    ] = False,
    tail: Annotated[int, typer.Option(min=0, help="Begin so many lines before the end")] = 100,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="To a terminal too, print what came as it came: it may take control of it"
        ),
    ] = False,
) -> None:
    """Print what an environment printed, while it runs.

    On a terminal, its control characters are shown by their names; into a
    file or a pipe goes what came. When an environment has ended, its log has
    gone with it.
    """
    check_id(environment_id)
    query = urlencode({"tail": tail, "follow": int(follow)})
    text = SafeText() if sys.stdout.isatty() and not raw else None
    path = f"/api/environments/{environment_id}/logs?{query}"
    # Ctrl-C is how following ends.
    with suppress(KeyboardInterrupt):
        tmpenv.listen(path, _printer(text))
    if text is not None:
        _printer(None)(text.end().encode())


def _printer(text: SafeText | None) -> Callable[[bytes], None]:
    def take(part: bytes) -> None:
        sys.stdout.buffer.write(part if text is None else text.add(part).encode())
        sys.stdout.buffer.flush()

    return take
