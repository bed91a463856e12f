"""Show a build on the command line: its log as it comes, how far it is, and its links.

On a terminal a bar stands below the log, and control characters of what is printed are
shown by their numbers; elsewhere there are plain lines. Links are never wrapped, since
they are there to be copied.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import typer

from web.client_answers import Build, LogEntry
from web.terminal_text import SafeText


class Shows(Protocol):
    """Shows entries of a log."""

    def __call__(self, entry: LogEntry) -> None:
        """Show one."""


@contextmanager
def log_shown(name: str, *, raw: bool = False) -> Iterator[Shows]:
    """Give what shows the log of a build, with a bar below it where there is a terminal."""
    if raw or not sys.stdout.isatty():
        yield _print_plainly
    else:
        with _bar(name) as show:
            yield show


def _print_plainly(entry: LogEntry) -> None:
    typer.echo(entry.text)
    # A pipe would keep lines until it has many.
    sys.stdout.flush()


@contextmanager
def _bar(name: str) -> Iterator[Shows]:
    # Imported here: rich takes longer to load than all the rest of the commands.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, markup=False)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[step]}", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        # Without a total the bar moves to and fro: nothing is known yet.
        task = progress.add_task(name, total=None, step="")

        def show(entry: LogEntry) -> None:
            console.print(Text(_safe(entry.text)), soft_wrap=True)
            progress.update(
                task,
                description=entry.phase,
                total=entry.steps or None,
                completed=entry.step,
                step=f"step {entry.step} of {entry.steps}" if entry.steps else "",
            )

        yield show


def _safe(text: str) -> str:
    safe = SafeText()
    return safe.add(text.encode(errors="replace")) + safe.end()


def show_links(build: Build) -> None:
    """Print where a build is opened, and the badge that leads there."""
    links = build.links
    typer.echo(f"\n{build.name} is ready.\n")
    for label, key in (("Open", "launch"), ("Markdown", "markdown"), ("HTML", "html")):
        typer.echo(f"{label:<10}{links[key]}")
    typer.echo("reST")
    for line in links["rst"].splitlines():
        typer.echo(f"    {line}")
