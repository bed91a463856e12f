"""``tmpenv stop``."""

from typing import Annotated

import typer

from web.commands.options import (
    ApiKey,
    Config,
    Instance,
    Server,
    StateDir,
    Trusted,
    ask,
    check_id,
    client_settings,
)
from web.config import Settings
from web.start_errors import StartError, told_in_one_line


def stop(
    *,
    ids: Annotated[list[str], typer.Argument(help="Ids of environments", metavar="ID...")],
    config: Config = None,
    server: Server = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    instance: Instance = None,
    ssl_cert: Trusted = None,
) -> None:
    """End environments of a running tmpenv."""
    with told_in_one_line():
        settings = client_settings(
            config, api_key=api_key, state_dir=state_dir, instance=instance, ssl_cert=ssl_cert
        )
        for one in ids:
            check_id(one)
        failed = [one for one in ids if not _is_stopped(settings, server, one)]
        if failed:
            raise typer.Exit(1)


def _is_stopped(settings: Settings, server: str | None, environment_id: str) -> bool:
    """Ask for one end and say what came of it; the others are asked for all the same."""
    try:
        answer = ask(settings, server, "DELETE", f"/api/environments/{environment_id}")
    except StartError as error:
        typer.echo(f"tmpenv: {environment_id}: {error}", err=True)
        return False
    typer.echo(f"{environment_id}: {'ends' if answer['stopped'] else 'had ended'}")
    return True
