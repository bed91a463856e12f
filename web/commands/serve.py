"""``tmpenv serve``."""

from pathlib import Path
from typing import Annotated

import typer
import uvloop

from web import logs
from web.commands.options import ApiKey, Config, Instance, StateDir, option
from web.config import Settings
from web.config_docs import help_text
from web.config_sources import load
from web.start_errors import told_in_one_line

EPILOG = "\b\n" + help_text().replace("\n\n", "\n\n\b\n")


def serve(
    *,
    config: Config = None,
    host: Annotated[str | None, option("host")] = None,
    port: Annotated[int | None, option("port")] = None,
    metrics_host: Annotated[str | None, option("metrics_host")] = None,
    metrics_port: Annotated[int | None, option("metrics_port")] = None,
    take_over: Annotated[bool | None, option("take_over")] = None,
    environments_domain: Annotated[str | None, option("environments_domain")] = None,
    service_origin: Annotated[str | None, option("service_origin")] = None,
    proxy_workers: Annotated[int | None, option("proxy_workers")] = None,
    base_url: Annotated[str | None, option("base_url")] = None,
    ssl_cert: Annotated[Path | None, option("ssl_cert")] = None,
    ssl_key: Annotated[Path | None, option("ssl_key")] = None,
    backend: Annotated[str | None, option("backend", metavar="auto|process|docker")] = None,
    redis_url: Annotated[str | None, option("redis_url")] = None,
    state_dir: StateDir = None,
    instance: Instance = None,
    api_key: ApiKey = None,
    secret_key: Annotated[str | None, option("secret_key")] = None,
    default_template: Annotated[str | None, option("default_template")] = None,
    launch_timeout: Annotated[str | None, option("launch_timeout")] = None,
    drain_delay: Annotated[str | None, option("drain_delay")] = None,
    max_starting: Annotated[int | None, option("max_starting")] = None,
    on_exit: Annotated[str | None, option("on_exit", metavar="keep|stop")] = None,
    log_level: Annotated[
        str | None, option("log_level", metavar="debug|info|warning|error")
    ] = None,
    log_format: Annotated[str | None, option("log_format", metavar="auto|text|json")] = None,
) -> None:
    """Serve environments until a signal."""
    flags = {key: value for key, value in locals().items() if key != "config"}
    with told_in_one_line():
        settings = load(flags=flags, config=config)
        logs.send(logs.style_of(settings))
        _serve(settings)


def _serve(settings: Settings) -> None:
    # Imported here, so that the other commands need not load Docker and the edge.
    from web.app import Running, serve  # noqa: PLC0415
    from web.banner import banner  # noqa: PLC0415

    def announce(running: Running) -> None:
        typer.echo(banner(running))

    uvloop.run(serve(settings, announce))
