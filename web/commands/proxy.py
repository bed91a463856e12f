"""``tmpenv proxy``: its flags, which are configurable-http-proxy's."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import typer
import uvloop

from web import logs
from web.config_errors import ConfigError
from web.start_errors import told_in_one_line

_LEVELS = {"debug": "debug", "info": "info", "warn": "warning", "error": "error"}
EPILOG = (
    "The token of the REST API comes from CONFIGPROXY_AUTH_TOKEN. A key's passphrase, if it has "
    "one, from CONFIGPROXY_SSL_KEY_PASSPHRASE. A Redis with a password is better named by "
    "TMPENV_REDIS_URL than by the flag, which others on the machine can read. On SIGHUP the "
    "certificate is read again."
)


def _flag(text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, show_default=bool(more.pop("shows", False)), **more)


Ip = Annotated[str, _flag("Address to listen on; all where unset")]
Port = Annotated[int, _flag("Port to listen on; 0 for any free one", shows=True)]
ApiIp = Annotated[str, _flag("Address of the REST API", shows=True)]
ApiPort = Annotated[int | None, _flag("Port of the REST API; the next one if unset")]
Workers = Annotated[int, _flag("Processes that move bytes", "--proxy-workers", min=1, shows=True)]
TakeOver = Annotated[
    bool, _flag("Take the port over from the tmpenv proxy on it, which drains", "--take-over")
]
RedisUrl = Annotated[
    str,
    _flag(
        "Where routes are kept, and shared; in this process where unset",
        envvar="TMPENV_REDIS_URL",
        show_envvar=False,
    ),
]
Instance = Annotated[str, _flag("Keeps proxies on one Redis apart", shows=True)]
DefaultTarget = Annotated[str, _flag("Where the rest goes: a route at /")]
ErrorTarget = Annotated[
    str, _flag("Server that is asked for pages of errors: <url>/<code>?url=<path>")
]
ErrorPath = Annotated[Path | None, _flag("Directory with pages of errors: <code>.html, error.html")]
SslKey = Annotated[Path | None, _flag("Key of the certificate, if it is not with it")]
SslCert = Annotated[Path | None, _flag("Certificate chain: TLS is spoken")]
IncludePrefix = Annotated[
    bool, _flag("Keep a route's prefix in the path", "--include-prefix/--no-include-prefix")
]
PrependPath = Annotated[
    bool, _flag("Put a target's own path before it", "--prepend-path/--no-prepend-path")
]
HostRouting = Annotated[
    bool, _flag("The host is the first segment of every route", "--host-routing")
]
Insecure = Annotated[bool, _flag("Accept every certificate of https targets", "--insecure")]
MetricsIp = Annotated[str, _flag("Address of the metrics; all where unset")]
MetricsPort = Annotated[int | None, _flag("Port of /metrics; none where unset")]
Routes = Annotated[
    list[str] | None, _flag("A route from the start; may be repeated", metavar="/PREFIX=URL")
]
CorsOrigins = Annotated[
    list[str] | None,
    _flag("Origin whose pages may read answers, or *; may be repeated", metavar="ORIGIN"),
]
TrustedProxies = Annotated[
    list[str] | None,
    _flag("Network whose X-Forwarded-* headers are believed; may be repeated", metavar="CIDR"),
]
ProxyTimeout = Annotated[
    int | None, _flag("Time for a target to answer, in ms; no limit where unset", min=1)
]
KeepAliveTimeout = Annotated[
    int, _flag("Time that a connection may lie idle, in ms", min=1, shows=True)
]
LogLevel = Annotated[str, _flag("debug, info, warn or error", shows=True)]


def proxy(
    *,
    ip: Ip = "",
    port: Port = 8000,
    api_ip: ApiIp = "127.0.0.1",
    api_port: ApiPort = None,
    proxy_workers: Workers = 1,
    take_over: TakeOver = False,
    redis_url: RedisUrl = "",
    instance: Instance = "default",
    default_target: DefaultTarget = "",
    error_target: ErrorTarget = "",
    error_path: ErrorPath = None,
    ssl_key: SslKey = None,
    ssl_cert: SslCert = None,
    include_prefix: IncludePrefix = True,
    prepend_path: PrependPath = True,
    host_routing: HostRouting = False,
    insecure: Insecure = False,
    metrics_ip: MetricsIp = "",
    metrics_port: MetricsPort = None,
    route: Routes = None,
    cors_origin: CorsOrigins = None,
    trusted_proxy: TrustedProxies = None,
    proxy_timeout: ProxyTimeout = None,
    keep_alive_timeout: KeepAliveTimeout = 75_000,
    log_level: LogLevel = "info",
) -> None:
    """Proxy alone, with configurable-http-proxy's REST API: JupyterHub runs on it unchanged."""
    flags = SimpleNamespace(**locals())
    # Imported here, so that the other commands need not load the data path.
    from web.proxy_command import Proxying, run  # noqa: PLC0415

    with told_in_one_line():
        logs.send(_log(flags))
        options = _options(flags)

        def announce(running: Proxying) -> None:
            typer.echo(_banner(options, running))

        uvloop.run(run(options, announce))


def _options(flags: Any) -> Any:
    from proxy.prefix_router import PrefixOptions  # noqa: PLC0415
    from web.proxy_command import ProxyOptions  # noqa: PLC0415

    port = flags.port
    return ProxyOptions(
        ip=flags.ip,
        port=port,
        api_ip=flags.api_ip,
        api_port=flags.api_port if flags.api_port is not None else port and port + 1,
        metrics_ip=flags.metrics_ip,
        metrics_port=flags.metrics_port,
        token=os.environ.get("CONFIGPROXY_AUTH_TOKEN", ""),
        routes=_routes(flags.default_target, flags.route or []),
        error_target=flags.error_target,
        error_path=flags.error_path,
        certificate=_certificate(flags),
        settings=_settings(flags),
        prefixes=PrefixOptions(
            include_prefix=flags.include_prefix,
            prepend_path=flags.prepend_path,
            host_routing=flags.host_routing,
            insecure=flags.insecure,
        ),
        workers=flags.proxy_workers,
        takes_over=flags.take_over,
        redis_url=flags.redis_url,
        instance=flags.instance,
        log=_log(flags),
    )


def _log(flags: Any) -> logs.LogStyle:
    return logs.LogStyle(_level(flags.log_level))


def _certificate(flags: Any) -> Any:
    from web.certificate import CertificateFiles  # noqa: PLC0415

    if flags.ssl_cert is not None:
        passphrase = os.environ.get("CONFIGPROXY_SSL_KEY_PASSPHRASE")
        return CertificateFiles(flags.ssl_cert, flags.ssl_key, passphrase)
    if flags.ssl_key is not None:
        raise ConfigError(["tmpenv: --ssl-key: needs --ssl-cert"])
    return None


def _settings(flags: Any) -> Any:
    from pydantic import ValidationError  # noqa: PLC0415

    from proxy.settings import ProxySettings  # noqa: PLC0415

    try:
        return ProxySettings(
            cors_origins=tuple(flags.cors_origin or ()),
            trusted_proxies=tuple(flags.trusted_proxy or ()),
            response_timeout_s=flags.proxy_timeout and flags.proxy_timeout / 1000,
            idle_timeout_s=flags.keep_alive_timeout / 1000,
        )
    except ValidationError as error:
        wrong = error.errors()[0]["input"]
        raise ConfigError(
            [f'tmpenv: --trusted-proxy: "{wrong}" is no network; write 10.0.0.0/8']
        ) from error


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

    url = public_url(options.ip, running.port, is_secure=options.certificate is not None)
    lines = [
        f"tmpenv {VERSION} proxies.",
        "",
        f"  Open     {url}",
        f"  Routes   {public_url(options.api_ip, running.api_port)}api/routes",
    ]
    if running.metrics_port is not None:
        lines.append(f"  Metrics  {public_url(options.metrics_ip, running.metrics_port)}metrics")
    return "\n".join(lines) + "\n"
