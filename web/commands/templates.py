"""``tmpenv templates`` and ``tmpenv apps``: what can be launched, and what was."""

import json
from typing import Annotated

import typer

from web.commands.asking import Tmpenv, asking
from web.commands.options import AsJson


@asking
def templates(tmpenv: Tmpenv, *, as_json: AsJson = False) -> None:
    """List the templates that can be launched."""
    found = tmpenv.client.templates()
    if as_json:
        typer.echo(json.dumps([one.document for one in found], indent=2))
        return
    # Imported here: rich takes longer to load than all the rest of this command.
    from web.status_tables import console_for_output  # noqa: PLC0415
    from web.template_tables import show_templates  # noqa: PLC0415

    show_templates(found, console_for_output())


@asking
def apps(
    tmpenv: Tmpenv,
    *,
    ended: Annotated[
        bool, typer.Option("--all", help="Also those that ended within a day")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the applications: what was launched, and where it is."""
    found = tmpenv.client.applications(ended=ended)
    if as_json:
        typer.echo(json.dumps([one.document for one in found], indent=2))
        return
    from web.status_tables import console_for_output  # noqa: PLC0415  # as above
    from web.template_tables import show_applications  # noqa: PLC0415

    show_applications(found, console_for_output())
