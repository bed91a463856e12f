"""Run the data path alone, with its routes kept over a REST API.

It stands in for configurable-http-proxy: the same API, the same options, and
none of tmpenv's own pages, pools or stores. Routes live in this process alone;
JupyterHub puts them again after a restart.
"""

import logging
import signal
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from proxy.edge import Explain
from proxy.listener import Proxy
from proxy.locations import BadLocation, Location, read_location
from proxy.prefix_router import PrefixOptions, PrefixRouter
from proxy.settings import ProxySettings
from proxy.sockets import listen, port_of
from proxy.tls import Certificate
from web import proxy_metrics
from web.addresses import is_loopback
from web.certificate import read_certificate, renew_on_hangup
from web.config_errors import ConfigError
from web.dialects.chp import RoutesApi
from web.dialects.chp_errors import ErrorPages, error_session, plain_page
from web.signals import Signals
from web.start_errors import StartError, cannot_listen

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyOptions:
    """What ``tmpenv proxy`` was asked to do; None as a port is that it was not."""

    ip: str
    port: int
    api_ip: str
    api_port: int
    metrics_ip: str
    metrics_port: int | None
    token: str
    routes: tuple[tuple[str, str], ...]  # flag or prefix, and target
    error_target: str
    error_path: Path | None
    ssl_certificate: Path | None
    ssl_key: Path | None
    ssl_password: str | None
    cors_origins: tuple[str, ...]
    prefixes: PrefixOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxying:
    """A proxy that runs: its ports."""

    port: int
    api_port: int
    metrics_port: int | None


async def run(options: ProxyOptions, announce: Callable[[Proxying], None]) -> None:
    """Proxy until a signal: TERM ends when what is open has ended, INT at once.

    Raises:
        ConfigError: An option is wrong.
        StartError: It cannot start, and nothing of it is left.
    """
    _check_guard(options)
    async with AsyncExitStack() as stack:
        signals = Signals(stack)
        certificate = _certificate(options, stack)
        settings = ProxySettings(cors_origins=options.cors_origins)
        router = _router(options, settings)
        proxy = Proxy(
            router=router,
            settings=settings,
            page=plain_page,
            explain=await _explain(options, stack),
        )
        stack.push_async_callback(proxy.abort)
        api = RoutesApi(router, options.token, time.monotonic)
        api_port = await _serve(stack, api.application(), options.api_ip, options.api_port, "--api")
        metrics_port = None
        if options.metrics_port is not None:
            metrics = proxy_metrics.application(proxy, router, api)
            metrics_port = await _serve(
                stack, metrics, options.metrics_ip, options.metrics_port, "--metrics"
            )
        try:
            listeners = listen(_every(options.ip), options.port)
        except OSError as error:
            raise cannot_listen(options.ip, options.port, error, host_flag="--ip") from error
        await proxy.serve(listeners[0], certificate)
        port = port_of(listeners)
        announce(Proxying(port=port, api_port=api_port, metrics_port=metrics_port))
        if await signals.wait() is signal.SIGTERM:
            await signals.drain(proxy)


def _router(options: ProxyOptions, settings: ProxySettings) -> PrefixRouter:
    router = PrefixRouter(settings, options.prefixes)
    for source, target in options.routes:
        prefix = source if source.startswith("/") else "/"
        label = f"--route {source}" if source.startswith("/") else source
        router.put(prefix, _location(label, target), {"target": target})
    return router


def _location(label: str, text: str) -> Location:
    try:
        return read_location(text)
    except BadLocation as error:
        raise ConfigError([f'tmpenv: {label}: "{text}" cannot be led to: {error}']) from error


def _check_guard(options: ProxyOptions) -> None:
    if options.token:
        return
    if not is_loopback(options.api_ip):
        raise StartError(
            f"whoever reaches {options.api_ip or 'this machine'} could change the routes; set "
            "CONFIGPROXY_AUTH_TOKEN, or give a loopback address with --api-ip"
        )
    log.warning("The REST API is open to all on this machine", extra={"event": "chp.open"})


def _certificate(options: ProxyOptions, stack: AsyncExitStack) -> Certificate | None:
    if options.ssl_certificate is None:
        if options.ssl_key is not None:
            raise ConfigError(["tmpenv: --ssl-key: needs --ssl-cert"])
        return None
    certificate = read_certificate(options.ssl_certificate, options.ssl_key, options.ssl_password)
    renew_on_hangup(certificate, stack)
    return certificate


async def _explain(options: ProxyOptions, stack: AsyncExitStack) -> Explain | None:
    if options.error_target and options.error_path:
        raise ConfigError(["tmpenv: --error-path: cannot be given with --error-target"])
    if not options.error_target and not options.error_path:
        return None
    target = _location("--error-target", options.error_target) if options.error_target else None
    session = error_session(target, insecure=options.prefixes.insecure)
    await stack.enter_async_context(session)
    return ErrorPages(path=options.error_path, target=target, session=session).explain


async def _serve(
    stack: AsyncExitStack, app: web.Application, host: str, port: int, flags: str
) -> int:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, _every(host), port).start()
    except OSError as error:
        raise cannot_listen(
            host, port, error, host_flag=f"{flags}-ip", port_flag=f"{flags}-port"
        ) from error
    return int(runner.addresses[0][1])


def _every(host: str) -> str | None:
    return None if host in ("", "*") else host
