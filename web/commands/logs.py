"""``tmpenv logs``."""

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated
from urllib.parse import urlencode

import typer

from web.commands.options import (
    ApiKey,
    Config,
    Instance,
    Server,
    StateDir,
    Trusted,
    check_id,
    client_settings,
    listen,
)
from web.start_errors import told_in_one_line
from web.terminal_text import SafeText


def logs(
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
    config: Config = None,
    server: Server = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    instance: Instance = None,
    ssl_cert: Trusted = None,
) -> None:
    """Print what an environment printed, while it runs.

    On a terminal, its control characters are shown by their names; into a
    file or a pipe goes what came. When an environment has ended, its log has
    gone with it.
    """
    with told_in_one_line():
        check_id(environment_id)
        settings = client_settings(
            config, api_key=api_key, state_dir=state_dir, instance=instance, ssl_cert=ssl_cert
        )
        query = urlencode({"tail": tail, "follow": int(follow)})
        text = SafeText() if sys.stdout.isatty() and not raw else None
        path = f"/api/environments/{environment_id}/logs?{query}"
        # Ctrl-C is how following ends.
        with suppress(KeyboardInterrupt):
            listen(settings, server, path, _printer(text))
        if text is not None:
            _printer(None)(text.end().encode())


def _printer(text: SafeText | None) -> Callable[[bytes], None]:
    def take(part: bytes) -> None:
        sys.stdout.buffer.write(part if text is None else text.add(part).encode())
        sys.stdout.buffer.flush()

    return take
