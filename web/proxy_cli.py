"""The command ``tmpenv proxy``: its flags, which are configurable-http-proxy's."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from web import logs
from web.config_errors import ConfigError
from web.start_errors import told_in_one_line

_LEVELS = {"debug": "debug", "info": "info", "warn": "warning", "error": "error"}
EPILOG = (
    "The token of the REST API comes from CONFIGPROXY_AUTH_TOKEN. A key's passphrase, if it has "
    "one, from CONFIGPROXY_SSL_KEY_PASSPHRASE. On SIGHUP the certificate is read again."
)


def _flag(text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, show_default=bool(more.pop("shows", False)), **more)


def proxy(
    *,
    ip: Annotated[str, _flag("Address to listen on; all where unset")] = "",
    port: Annotated[int, _flag("Port to listen on; 0 for any free one", shows=True)] = 8000,
    api_ip: Annotated[str, _flag("Address of the REST API", shows=True)] = "127.0.0.1",
    api_port: Annotated[int | None, _flag("Port of the REST API; the next one if unset")] = None,
    default_target: Annotated[str, _flag("Where the rest goes: a route at /")] = "",
    error_target: Annotated[
        str, _flag("Server that is asked for pages of errors: <url>/<code>?url=<path>")
    ] = "",
    error_path: Annotated[
        Path | None, _flag("Directory with pages of errors: <code>.html, error.html")
    ] = None,
    ssl_key: Annotated[Path | None, _flag("Key of the certificate, if it is not with it")] = None,
    ssl_cert: Annotated[Path | None, _flag("Certificate chain: TLS is spoken")] = None,
    include_prefix: Annotated[
        bool, _flag("Keep a route's prefix in the path", "--include-prefix/--no-include-prefix")
    ] = True,
    prepend_path: Annotated[
        bool, _flag("Put a target's own path before it", "--prepend-path/--no-prepend-path")
    ] = True,
    host_routing: Annotated[
        bool, _flag("The host is the first segment of every route", "--host-routing")
    ] = False,
    insecure: Annotated[
        bool, _flag("Accept every certificate of https targets", "--insecure")
    ] = False,
    metrics_ip: Annotated[str, _flag("Address of the metrics; all where unset")] = "",
    metrics_port: Annotated[int | None, _flag("Port of /metrics; none where unset")] = None,
    route: Annotated[
        list[str] | None, _flag("A route from the start; may be repeated", metavar="/PREFIX=URL")
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        _flag("Origin whose pages may read answers, or *; may be repeated", metavar="ORIGIN"),
    ] = None,
    log_level: Annotated[str, _flag("debug, info, warn or error", shows=True)] = "info",
) -> None:
    """Proxy alone, with configurable-http-proxy's REST API: JupyterHub runs on it unchanged."""
    # Imported here, so that the other commands need not load the data path.
    from proxy.prefix_router import PrefixOptions  # noqa: PLC0415
    from web.proxy_command import Proxying, ProxyOptions, run  # noqa: PLC0415

    with told_in_one_line():
        logs.send(_level(log_level))
        options = ProxyOptions(
            ip=ip,
            port=port,
            api_ip=api_ip,
            api_port=api_port if api_port is not None else port and port + 1,
            metrics_ip=metrics_ip,
            metrics_port=metrics_port,
            token=os.environ.get("CONFIGPROXY_AUTH_TOKEN", ""),
            routes=_routes(default_target, route or []),
            error_target=error_target,
            error_path=error_path,
            ssl_certificate=ssl_cert,
            ssl_key=ssl_key,
            ssl_password=os.environ.get("CONFIGPROXY_SSL_KEY_PASSPHRASE"),
            cors_origins=tuple(cors_origin or ()),
            prefixes=PrefixOptions(
                include_prefix=include_prefix,
                prepend_path=prepend_path,
                host_routing=host_routing,
                insecure=insecure,
            ),
        )

        def announce(running: Proxying) -> None:
            typer.echo(_banner(options, running))

        uvloop.run(run(options, announce))


def _level(name: str) -> str:
    if name.lower() not in _LEVELS:
        raise ConfigError([f'tmpenv: --log-level: "{name}" is none of debug, info, warn, error'])
    return _LEVELS[name.lower()]


def _routes(default_target: str, routes: list[str]) -> tuple[tuple[str, str], ...]:
    found = [("--default-target", default_target)] if default_target else []
    for one in routes:
        prefix, equals, target = one.partition("=")
        if not prefix.startswith("/") or not equals:
            raise ConfigError([f'tmpenv: --route: "{one}" is not of the form /prefix=http://host'])
        found.append((prefix, target))
    return tuple(found)


def _banner(options: Any, running: Any) -> str:
    from web.addresses import public_url  # noqa: PLC0415
    from web.version import VERSION  # noqa: PLC0415

    url = public_url(options.ip, running.port)
    lines = [
        f"tmpenv {VERSION} proxies.",
        "",
        f"  Open     {url.replace('http', 'https', 1) if options.ssl_certificate else url}",
        f"  Routes   {public_url(options.api_ip, running.api_port)}api/routes",
    ]
    if running.metrics_port is not None:
        lines.append(f"  Metrics  {public_url(options.metrics_ip, running.metrics_port)}metrics")
    return "\n".join(lines) + "\n"
