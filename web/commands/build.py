"""``tmpenv build``, and how a build is followed."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from web.commands.asking import Tmpenv, asking
from web.commands.options import AsJson
from web.start_errors import AskedWrongly

if TYPE_CHECKING:
    from web.client_answers import Build

#: As shells say that Ctrl-C ended a command.
INTERRUPTED = 130


@asking
def build(
    tmpenv: Tmpenv,
    *,
    repo: Annotated[
        str | None,
        typer.Option(help="Address of the repository; /tree/<branch> in it names a branch"),
    ] = None,
    ref: Annotated[str, typer.Option(help="Branch, tag or commit", show_default=False)] = "",
    dependencies: Annotated[
        list[str] | None,
        typer.Option(help="File that decides what is installed; repeat it for the next best"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build again what is there")] = False,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Print the log until the build ends")
    ] = False,
    cancel: Annotated[
        str | None, typer.Option(metavar="NAME", help="End the build of that name instead")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build an image from a repository, and give the link that opens it.

    The same request while a build runs joins it. Ctrl-C ends following, not the
    build; the exit code is 130 then. With --json: the build; with --follow too,
    a line of JSON for each line of the log, and last the build.
    """
    if (repo is None) == (cancel is None):
        raise AskedWrongly("give --repo URL to build, or --cancel NAME to end a build")
    if cancel is not None:
        _cancel(tmpenv, cancel, as_json=as_json)
        return
    started = tmpenv.client.build(repo or "", ref=ref, dependencies=dependencies or (), force=force)
    if follow:
        follow_build(tmpenv, started.name, as_json=as_json)
    elif as_json:
        typer.echo(json.dumps(started.document, indent=2))
        tell_failure(started)
    elif started.is_over:
        show_end(started)
    else:
        typer.echo(f"{started.name}: {started.phase}")
        typer.echo(f"Its log: {tmpenv.hint('logs', started.name, '--build', '--follow')}")


def follow_build(tmpenv: Tmpenv, name: str, *, as_json: bool = False, raw: bool = False) -> None:
    """Print the log of a build until it ends, and what came of it.

    Raises:
        Failed: It failed.
        Exit: Ctrl-C was pressed.
    """
    from web.build_shown import log_shown  # noqa: PLC0415  # loads aiohttp's answers, and rich
    from web.client_answers import Build  # noqa: PLC0415

    try:
        with log_shown(name, raw=raw) as show:
            for told in tmpenv.client.follow_build(name, cut_off=_cut_off):
                if as_json:
                    typer.echo(json.dumps(told.document))
                    sys.stdout.flush()
                elif not isinstance(told, Build):
                    show(told)
        assert isinstance(told, Build), "the last is what came of it"
    except KeyboardInterrupt:
        typer.echo(
            f"\ntmpenv: the build goes on; end it with {tmpenv.hint('build', '--cancel', name)}",
            err=True,
        )
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        tell_failure(told)
    else:
        show_end(told)


def show_end(build: "Build") -> None:
    """Print the links of a build that is over.

    Raises:
        Failed: It failed.
    """
    from web.build_shown import show_links  # noqa: PLC0415  # as above

    tell_failure(build)
    show_links(build)


def tell_failure(build: "Build") -> None:
    """Do nothing, unless a build failed.

    Raises:
        Failed
    """
    from web.client import Failed  # noqa: PLC0415  # loads aiohttp

    if build.status == "failed":
        raise Failed(f"{build.name} was not built: {build.error or 'no reason given'}")


def _cut_off() -> None:
    typer.echo("tmpenv: the log broke off; asking for the rest", err=True)


def _cancel(tmpenv: Tmpenv, name: str, *, as_json: bool) -> None:
    is_ended = tmpenv.client.cancel_build(name)
    if as_json:
        typer.echo(json.dumps({"name": name, "cancelled": is_ended}, indent=2))
    else:
        typer.echo(f"{name}: {'cancelled' if is_ended else 'was over'}")
