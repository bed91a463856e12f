"""``tmpenv stop``."""

from typing import Annotated

import typer

from web.commands.asking import Tmpenv, asking, check_id
from web.start_errors import StartError


@asking
def stop(
    tmpenv: Tmpenv,
    *,
    ids: Annotated[list[str], typer.Argument(help="Ids of environments", metavar="ID...")],
) -> None:
    """End environments of a running tmpenv."""
    for one in ids:
        check_id(one)
    failed = [one for one in ids if not _is_stopped(tmpenv, one)]
    if failed:
        raise typer.Exit(1)


def _is_stopped(tmpenv: Tmpenv, environment_id: str) -> bool:
    """Ask for one end and say what came of it; the others are asked for all the same."""
    try:
        answer = tmpenv.ask("DELETE", f"/api/environments/{environment_id}")
    except StartError as error:
        typer.echo(f"tmpenv: {environment_id}: {error}", err=True)
        return False
    typer.echo(f"{environment_id}: {'ends' if answer['stopped'] else 'had ended'}")
    return True
