"""``tmpenv launch``."""

import json
import sys
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from web.commands.asking import Tmpenv, asking
from web.commands.completing import complete_template
from web.commands.options import AsJson

if TYPE_CHECKING:
    from web.client_answers import Application


@asking
def launch(
    tmpenv: Tmpenv,
    *,
    template: Annotated[
        str,
        typer.Option(
            help="Template, see tmpenv templates",
            show_default=False,
            autocompletion=complete_template,
        ),
    ],
    open_: Annotated[bool, typer.Option("--open", help="Open it in a browser")] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until it answers; --open does")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Launch a template, and print the address of the environment.

    Its address is the key to it. With --no-wait, what is printed is its id while
    it has no address.
    """
    client = tmpenv.client
    application = client.launch(template)
    token = application.document.get("token")
    if wait or open_:
        with _shown(template) as seen:
            application = client.until_ready(application, seen)
    if as_json:
        shown = application.document | ({"token": token} if token else {})
        shown |= {"location": application.location} if application.location else {}
        typer.echo(json.dumps(shown, indent=2))
    else:
        typer.echo(application.location or application.id)
    if open_ and not webbrowser.open(application.location):
        typer.echo("tmpenv: no browser can be opened here; go to that address", err=True)


@contextmanager
def _shown(template: str) -> "Iterator[Callable[[Application], None]]":
    """Show on standard error how a launch goes; its address alone is the output."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # Imported here: rich takes longer to load than all the rest of this command.
    from rich.console import Console  # noqa: PLC0415

    console = Console(stderr=True, highlight=False, markup=False)
    with console.status(f"{template} starts", spinner="line") as status:
        yield lambda application: status.update(f"{template} is {application.status}")
