"""``tmpenv pools list``, ``set`` and ``remove``: the pools of a running tmpenv."""

import json
from typing import Annotated

import typer

from web.commands.asking import Tmpenv, asking
from web.commands.completing import complete_template
from web.commands.options import AsJson

Name = Annotated[
    str,
    typer.Argument(help="Template", metavar="TEMPLATE", autocompletion=complete_template),
]


@asking
def list_pools(tmpenv: Tmpenv, *, as_json: AsJson = False) -> None:
    """List the pools, and how many of each are ready and in use."""
    found = tmpenv.client.pools()
    if as_json:
        typer.echo(json.dumps([one.document for one in found], indent=2))
        return
    # Imported here: rich takes longer to load than all the rest of this command.
    from web.status_tables import console_for_output  # noqa: PLC0415
    from web.template_tables import show_pools  # noqa: PLC0415

    show_pools(found, console_for_output())


@asking
def set_pool(
    tmpenv: Tmpenv,
    *,
    template: Name,
    size: Annotated[int, typer.Argument(min=0, help="Places; 0 hands out nothing", metavar="SIZE")],
    as_json: AsJson = False,
) -> None:
    """Make the pool of a template, or resize it, at once; nobody's session ends."""
    pool = tmpenv.client.set_pool(template, size)
    if as_json:
        typer.echo(json.dumps(pool.document, indent=2))
        return
    typer.echo(f"{pool.template}: {pool.size}, {pool.available} ready, {pool.running} in use")


@asking
def remove_pool(tmpenv: Tmpenv, *, template: Name, as_json: AsJson = False) -> None:
    """Remove the pool of a template: spares end, sessions go on, launches start anew."""
    tmpenv.client.remove_pool(template)
    if as_json:
        typer.echo(json.dumps({"template-name": template, "removed": True}, indent=2))
        return
    typer.echo(f"{template}: removed")
