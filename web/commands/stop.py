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
from web.start_errors import told_in_one_line


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
        for one in ids:
            answer = ask(settings, server, "DELETE", f"/api/environments/{one}")
            typer.echo(f"{one}: {'ends' if answer['stopped'] else 'had ended'}")
