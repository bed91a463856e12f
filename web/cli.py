"""The command ``tmpenv``: its commands, put together.

Whatever goes wrong is one line on standard error that says what to do: exit
code 2 for what was asked wrongly, 1 for what cannot be done now, 3 for what was
tried and failed; 0 is done.
"""

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from web.commands.asking import EPILOG as CLIENT_EPILOG
from web.commands.build import build
from web.commands.config import config
from web.commands.cull import cull
from web.commands.drain import drain
from web.commands.keys import app as keys
from web.commands.launch import launch
from web.commands.logs import logs
from web.commands.pools import pools
from web.commands.proxy import EPILOG as PROXY_EPILOG
from web.commands.proxy import proxy
from web.commands.register import register
from web.commands.serve import EPILOG as SERVE_EPILOG
from web.commands.serve import serve
from web.commands.status import status
from web.commands.stop import stop
from web.commands.template import app as template
from web.commands.templates import apps, templates
from web.version import VERSION

app = typer.Typer(
    help="Running notebooks on demand: a visitor clicks a link and is inside one at once.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(epilog=SERVE_EPILOG)(serve)
app.command(epilog=PROXY_EPILOG)(proxy)
for command in (build, register, launch, templates, apps, logs, status, stop, cull, drain):
    app.command(epilog=CLIENT_EPILOG)(command)
app.add_typer(template, name="template")
app.add_typer(config, name="config")
app.add_typer(pools, name="pools")
app.add_typer(keys, name="keys")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"tmpenv {VERSION}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version", callback=_print_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command."""
    for stream in (sys.stdout, sys.stderr):
        # What others wrote has characters that a terminal's encoding may lack.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    app()
