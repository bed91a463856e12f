"""The command ``tmpenv``.

Whatever goes wrong is one line on standard error that says what to do: exit
code 2 for what was asked wrongly, 1 for what cannot be done now.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from web import logs
from web.config import Settings
from web.config_docs import help_text
from web.config_sources import load
from web.proxy_cli import EPILOG as PROXY_EPILOG
from web.proxy_cli import proxy
from web.start_errors import StartError, told_in_one_line
from web.version import VERSION

app = typer.Typer(
    help="Running notebooks on demand: a visitor clicks a link and is inside one at once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _option(key: str, **more: Any) -> Any:
    """Make a flag whose help is the setting's own."""
    description = Settings.model_fields[key].description
    return typer.Option(help=description, show_default=False, **more)


Config = Annotated[
    Path | None, typer.Option("--config", help="TOML file with settings", show_default=False)
]
StateDir = Annotated[Path | None, _option("state_dir")]
Instance = Annotated[str | None, _option("instance")]
ApiKey = Annotated[str | None, _option("api_key")]
Trusted = Annotated[
    Path | None,
    typer.Option("--ssl-cert", help="Certificate of that tmpenv", show_default=False),
]
Server = Annotated[
    str | None,
    typer.Option(help="Address of a running tmpenv; by its port on this machine where unset"),
]


@app.command(epilog="\b\n" + help_text().replace("\n\n", "\n\n\b\n"))
def serve(
    *,
    config: Config = None,
    host: Annotated[str | None, _option("host")] = None,
    port: Annotated[int | None, _option("port")] = None,
    metrics_host: Annotated[str | None, _option("metrics_host")] = None,
    metrics_port: Annotated[int | None, _option("metrics_port")] = None,
    take_over: Annotated[bool | None, _option("take_over")] = None,
    environments_domain: Annotated[str | None, _option("environments_domain")] = None,
    service_origin: Annotated[str | None, _option("service_origin")] = None,
    proxy_workers: Annotated[int | None, _option("proxy_workers")] = None,
    base_url: Annotated[str | None, _option("base_url")] = None,
    ssl_cert: Annotated[Path | None, _option("ssl_cert")] = None,
    ssl_key: Annotated[Path | None, _option("ssl_key")] = None,
    backend: Annotated[str | None, _option("backend", metavar="auto|process|docker")] = None,
    redis_url: Annotated[str | None, _option("redis_url")] = None,
    state_dir: StateDir = None,
    instance: Instance = None,
    api_key: ApiKey = None,
    secret_key: Annotated[str | None, _option("secret_key")] = None,
    default_template: Annotated[str | None, _option("default_template")] = None,
    launch_timeout: Annotated[str | None, _option("launch_timeout")] = None,
    max_starting: Annotated[int | None, _option("max_starting")] = None,
    on_exit: Annotated[str | None, _option("on_exit", metavar="keep|stop")] = None,
    log_level: Annotated[
        str | None, _option("log_level", metavar="debug|info|warning|error")
    ] = None,
    log_format: Annotated[str | None, _option("log_format", metavar="auto|text|json")] = None,
) -> None:
    """Serve environments until a signal."""
    flags = {key: value for key, value in locals().items() if key != "config"}
    with told_in_one_line():
        settings = load(flags=flags, config=config)
        logs.configure(settings)
        _serve(settings)


app.command(epilog=PROXY_EPILOG)(proxy)


@app.command()
def status(
    *,
    config: Config = None,
    server: Server = None,
    api_key: ApiKey = None,
    state_dir: StateDir = None,
    instance: Instance = None,
    ssl_cert: Trusted = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON")] = False,
) -> None:
    """Show the pools and environments of a running tmpenv."""
    with told_in_one_line():
        settings = _client_settings(
            config, api_key=api_key, state_dir=state_dir, instance=instance, ssl_cert=ssl_cert
        )
        answer = _ask(settings, server, "GET", "/api/status")
        if as_json:
            typer.echo(json.dumps(answer, indent=2))
            return
        # Imported here: rich takes longer to load than all the rest of this command.
        from web.status_tables import console_for_output, show  # noqa: PLC0415

        show(answer, console_for_output())


@app.command()
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
        settings = _client_settings(
            config, api_key=api_key, state_dir=state_dir, instance=instance, ssl_cert=ssl_cert
        )
        for one in ids:
            if not (one.isascii() and one.isalnum()):
                raise StartError(f'"{one}" is no id of an environment; see tmpenv status')
            answer = _ask(settings, server, "DELETE", f"/api/environments/{one}")
            typer.echo(f"{one}: {'ends' if answer['stopped'] else 'had ended'}")


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"tmpenv {VERSION}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version", callback=_print_version)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command."""
    app()


def _serve(settings: Settings) -> None:
    # Imported here, so that the other commands need not load Docker and the edge.
    from web.app import Running, serve  # noqa: PLC0415
    from web.banner import banner  # noqa: PLC0415

    def announce(running: Running) -> None:
        typer.echo(banner(running))

    uvloop.run(serve(settings, announce))


def _client_settings(config: Path | None, **flags: str | Path | None) -> Settings:
    return load(flags=flags, config=config)


def _ask(settings: Settings, server: str | None, method: str, path: str) -> dict[str, Any]:
    from web.client import ask  # noqa: PLC0415
    from web.key_files import API_KEY, read_key  # noqa: PLC0415

    own = settings.api_key
    key = own.get_secret_value() if own else read_key(settings.state / API_KEY)
    scheme = "https" if settings.is_secure else "http"
    server = server or f"{scheme}://127.0.0.1:{settings.port}{settings.base_url}"
    return ask(server, key, method, path, trusted=settings.ssl_cert)
