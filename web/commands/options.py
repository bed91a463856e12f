"""What several commands share: flags, and how a running tmpenv is asked."""

from pathlib import Path
from typing import Annotated, Any

import typer

from web.config import Settings
from web.config_sources import load


def option(key: str, **more: Any) -> Any:
    """Make a flag whose help is the setting's own."""
    description = Settings.model_fields[key].description
    return typer.Option(help=description, show_default=False, **more)


Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings", show_default=False)
]
StateDir = Annotated[Path | None, option("state_dir")]
Instance = Annotated[str | None, option("instance")]
ApiKey = Annotated[str | None, option("api_key")]
Trusted = Annotated[
    Path | None,
    typer.Option("--ssl-cert", help="Certificate of that tmpenv", show_default=False),
]
Server = Annotated[
    str | None,
    typer.Option(help="Address of a running tmpenv; by its port on this machine where unset"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]


def client_settings(config: Path | None, **flags: str | Path | None) -> Settings:
    """Read the settings that say which tmpenv is meant, and with which key."""
    return load(flags=flags, config=config)


def ask(
    settings: Settings, server: str | None, method: str, path: str, *, body: object = None
) -> dict[str, Any]:
    """Make one call to the tmpenv that is meant, with ``body`` as JSON, and give its JSON.

    Raises:
        StartError: No answer, or one that refuses; the text says what to do.
    """
    # Imported here, so that the other commands need not load aiohttp.
    from web import client  # noqa: PLC0415
    from web.key_files import API_KEY, read_key  # noqa: PLC0415

    own = settings.api_key
    key = own.get_secret_value() if own else read_key(settings.state / API_KEY)
    scheme = "https" if settings.is_secure else "http"
    server = server or f"{scheme}://127.0.0.1:{settings.port}{settings.base_url}"
    return client.ask(server, key, method, path, body=body, trusted=settings.ssl_cert)
