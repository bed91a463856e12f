"""``tmpenv logs``: what an environment prints, or a build."""

import json
import re
import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated
from urllib.parse import urlencode

import typer

from web.commands.asking import Tmpenv, asking, check_id
from web.commands.build import follow_build
from web.start_errors import AskedWrongly
from web.terminal_text import SafeText

#: Ids of environments have letters and digits alone.
_BUILD = re.compile(r"[a-z0-9]+[._-][a-z0-9._-]*", re.IGNORECASE | re.ASCII)


@asking
def logs(
    tmpenv: Tmpenv,
    *,
    name: Annotated[
        str, typer.Argument(help="Id of an environment, or name of a build", metavar="ID")
    ],
    is_build: Annotated[
        bool, typer.Option("--build", help="ID is a build; so is all with a dash in it")
    ] = False,
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
    as_json: Annotated[
        bool, typer.Option("--json", help="Of a build: a line of JSON for each line, then it")
    ] = False,
) -> None:
    """Print what an environment printed while it runs, or what a build did.

    On a terminal, its control characters are shown by their names; into a
    file or a pipe goes what came. When an environment has ended, its log has
    gone with it. A build that is followed is shown from its beginning.
    """
    if is_build or _BUILD.fullmatch(name):
        if follow:
            follow_build(tmpenv, name, as_json=as_json, raw=raw)
        else:
            _print_build(tmpenv, name, tail, as_json=as_json, raw=raw)
        return
    check_id(name)
    if as_json:
        raise AskedWrongly("--json goes with a build")
    query = urlencode({"tail": tail, "follow": int(follow)})
    text = SafeText() if sys.stdout.isatty() and not raw else None
    path = f"/api/environments/{name}/logs?{query}"
    # Ctrl-C is how following ends.
    with suppress(KeyboardInterrupt):
        tmpenv.listen(path, _printer(text))
    if text is not None:
        _printer(None)(text.end().encode())


def _print_build(tmpenv: Tmpenv, name: str, tail: int, *, as_json: bool, raw: bool) -> None:
    from web.client_answers import LogEntry  # noqa: PLC0415  # only here

    text = SafeText() if sys.stdout.isatty() and not raw else None
    *entries, build = tmpenv.client.build_log(name)
    last = deque((one for one in entries if isinstance(one, LogEntry)), maxlen=tail)
    for entry in last:
        if as_json:
            typer.echo(json.dumps(entry.document))
        else:
            _printer(text)(f"{entry.text}\n".encode(errors="replace"))
    if as_json:
        typer.echo(json.dumps(build.document))


def _printer(text: SafeText | None) -> Callable[[bytes], None]:
    def take(part: bytes) -> None:
        sys.stdout.buffer.write(part if text is None else text.add(part).encode())
        sys.stdout.buffer.flush()

    return take
