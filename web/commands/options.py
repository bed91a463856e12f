"""The flags that several commands share."""

from pathlib import Path
from typing import Annotated, Any

import typer

from web.config import Settings


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
    typer.Option(
        help="Address of a running tmpenv; by its port on this machine where unset",
        envvar="TMPENV_SERVER",
        show_envvar=True,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]
