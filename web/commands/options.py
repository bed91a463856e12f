"""What several commands share: flags, and how a running tmpenv is asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from web.config import Settings
from web.config_sources import load
from web.start_errors import AskedWrongly

#: For the help of every command that asks a running tmpenv.
EPILOG = (
    "\b\nThe API key is --api-key, else TMPENV_API_KEY, else what the file that"
    "\nTMPENV_API_KEY_FILE names holds, else what tmpenv on this machine keeps in its"
    "\nstate directory."
    "\n\n\b\nExit codes: 0 done; 1 cannot be done now; 2 asked wrongly."
)


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

    place, key = _meant(settings, server)
    return client.ask(place, key, method, path, body=body, trusted=settings.ssl_cert)


def listen(
    settings: Settings, server: str | None, path: str, take: Callable[[bytes], None]
) -> None:
    """Make one call to the tmpenv that is meant, and give ``take`` its text as it comes.

    Raises:
        StartError: No answer, one that refuses, or one that broke off.
    """
    from web import client  # noqa: PLC0415  # as above

    place, key = _meant(settings, server)
    client.listen(place, key, path, take, trusted=settings.ssl_cert)


def check_id(environment_id: str) -> None:
    """Refuse what cannot be the id of an environment.

    Raises:
        AskedWrongly: It is none.
    """
    if not (environment_id.isascii() and environment_id.isalnum()):
        raise AskedWrongly(f'"{environment_id}" is no id of an environment; see tmpenv status')


def _meant(settings: Settings, server: str | None) -> tuple[str, str]:
    """Give the address of the tmpenv that is meant, and its key."""
    from web.key_files import API_KEY, read_key  # noqa: PLC0415  # loads what ask() does

    own = settings.api_key
    key = own.get_secret_value() if own else read_key(settings.state / API_KEY)
    scheme = "https" if settings.is_secure else "http"
    return server or f"{scheme}://127.0.0.1:{settings.port}{settings.base_url}", key
