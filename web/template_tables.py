"""Show templates, applications and pools in a terminal, or plainly where there is none."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column

from web.client_answers import Application, Pool, Template
from web.status_tables import new_table, show_table


def show_templates(templates: Sequence[Template], console: Console) -> None:
    """Print what can be launched."""
    if not templates:
        console.print("There are no templates; make one with tmpenv build or tmpenv register.")
        return
    table = new_table(Column("TEMPLATE", no_wrap=True), "FROM", "CHANGED", "IMAGE")
    for one in templates:
        origin = "configuration" if one.document.get("declared") else "API"
        table.add_row(one.name, origin, one.document.get("time-modified") or "-", one.image)
    show_table(table, console)


def show_applications(applications: Sequence[Application], console: Console) -> None:
    """Print what was launched."""
    if not applications:
        console.print("There are no applications.")
        return
    # The address is whole on a narrow screen too: it is there to be copied.
    where = Column("LOCATION", overflow="fold")
    table = new_table(Column("APPLICATION", no_wrap=True), "TEMPLATE", "STATUS", where)
    for one in applications:
        table.add_row(one.id, one.template, one.status, one.location or one.error or "-")
    show_table(table, console)


def show_pools(pools: Sequence[Pool], console: Console) -> None:
    """Print pools."""
    if not pools:
        console.print("There are no pools; make one with tmpenv pools set TEMPLATE SIZE.")
        return
    table = new_table("POOL", "SIZE", "READY", "IN USE")
    for one in pools:
        table.add_row(one.template, str(one.size), str(one.available), str(one.running))
    show_table(table, console)
