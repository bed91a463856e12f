"""``tmpenv status``."""

import json

import typer

from web.commands.options import (
    ApiKey,
    AsJson,
    Config,
    Instance,
    Server,
    StateDir,
    Trusted,
    ask,
    client_settings,
)
from web.start_errors import told_in_one_line


def status(
    *,
    config: Config = None,
    server: Server = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    instance: Instance = None,
    ssl_cert: Trusted = None,
    as_json: AsJson = False,
) -> None:
    """Show the pools and environments of a running tmpenv."""
    with told_in_one_line():
        settings = client_settings(
            config, api_key=api_key, state_dir=state_dir, instance=instance, ssl_cert=ssl_cert
        )
        answer = ask(settings, server, "GET", "/api/status")
        if as_json:
            typer.echo(json.dumps(answer, indent=2))
            return
        # Imported here: rich takes longer to load than all the rest of this command.
        from web.status_tables import console_for_output, show  # noqa: PLC0415

        show(answer, console_for_output())
