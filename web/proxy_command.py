"""Run the data path alone, with its routes kept over a REST API.

It stands in for configurable-http-proxy: the same API, the same options, and none of
tmpenv's own pages and pools. Routes live in this process, and JupyterHub puts them again
after a restart; or they stand in a Redis.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from proxy.locations import BadLocation, Location, read_location
from proxy.prefix_router import PrefixOptions
from proxy.settings import ProxySettings
from proxy.workers import Workers, WorkersFailed
from spawner.errors import StoreUnavailable
from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.proxy_routes import RouteStore
from web.addresses import every_if_unset, is_loopback
from web.certificate import CertificateFiles
from web.config import NOT_REDIS, REDIS_SCHEMES
from web.config_errors import ConfigError
from web.data_path import Here, data_path
from web.dialects.chp import RoutesApi
from web.logs import LogStyle
from web.metrics import proxy_command as proxy_metrics
from web.prefixes_path import PrefixesWork
from web.public_port import PublicPort
from web.route_book import RouteBook
from web.side_port import Side, serve_beside
from web.signals import Signals
from web.start_errors import StartError, no_redis, no_workers

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
    certificate: CertificateFiles | None
    settings: ProxySettings
    prefixes: PrefixOptions
    workers: int
    takes_over: bool
    redis_url: str
    instance: str
    log: LogStyle


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
    work = _work(options)
    async with AsyncExitStack() as stack:
        signals = Signals(stack)
        book = await _book(options, stack)
        port = PublicPort(stack, signals)
        places = port.open(
            every_if_unset(options.ip),
            options.port,
            options.workers,
            takes_over=options.takes_over,
            host_flag="--ip",
        )
        path = data_path(lambda: replace(work, routes=book.targets()), places, book.hear)
        stack.push_async_callback(path.abort)
        book.lead(path)
        await _start(path)
        if options.certificate is not None:
            signals.renew_by(lambda: path.ask(do="renew"))
        await port.follow()
        api = RoutesApi(book, options.token)
        side = Side(options.api_ip, options.api_port, "--api-ip", "--api-port")
        api_port = await serve_beside(stack, port, api.application(), side)
        metrics_port = None
        if options.metrics_port is not None:
            metrics = proxy_metrics.application(path, book, api)
            side = Side(options.metrics_ip, options.metrics_port, "--metrics-ip", "--metrics-port")
            metrics_port = await serve_beside(stack, port, metrics, side)
        announce(Proxying(port=port.number, api_port=api_port, metrics_port=metrics_port))
        await _until_ended(stack, signals, path, book)


def _work(options: ProxyOptions) -> PrefixesWork:
    """Return the data path, as yet without routes.

    Raises:
        ConfigError: Options do not go together.
        StartError: The certificate cannot be used.
    """
    if options.error_target and options.error_path:
        raise ConfigError(["tmpenv: --error-path: cannot be given with --error-target"])
    if options.certificate is not None:
        options.certificate.read()  # once, so that nothing begins in vain
    target = _location("--error-target", options.error_target) if options.error_target else None
    return PrefixesWork(
        proxy=options.settings,
        prefixes=options.prefixes,
        routes=(),
        error_target=target,
        error_path=options.error_path,
        certificate=options.certificate,
        log=options.log,
    )


async def _book(options: ProxyOptions, stack: AsyncExitStack) -> RouteBook:
    """Return the book with the routes that were kept, and those that the flags name."""
    store = None
    if options.redis_url:
        if not options.redis_url.startswith(REDIS_SCHEMES):
            raise ConfigError([f"tmpenv: --redis-url: {NOT_REDIS}"])
        connection = Connection(options.redis_url, Keys(options.instance))
        stack.push_async_callback(connection.close)
        store = RouteStore(connection)
    book = RouteBook(is_host_first=options.prefixes.host_routing, store=store)
    for source, target in options.routes:
        _location(f"--route {source}" if source.startswith("/") else source, target)
    try:
        await book.load()
        for source, target in options.routes:
            await book.put(source if source.startswith("/") else "/", {"target": target})
    except StoreUnavailable as error:
        raise no_redis(options.redis_url) from error
    return book


async def _start(path: Here | Workers) -> None:
    try:
        await path.start()
    except WorkersFailed as error:
        raise no_workers() from error


async def _until_ended(
    stack: AsyncExitStack, signals: Signals, path: Here | Workers, book: RouteBook
) -> None:
    """Wait for a signal, and act on it; raise what fails meanwhile."""
    heard = asyncio.create_task(signals.wait())
    parts = {asyncio.create_task(path.run()), asyncio.create_task(book.run())}
    for task in (heard, *parts):
        stack.callback(task.cancel)
    while not heard.done():
        ended, _ = await asyncio.wait({heard, *parts}, return_when=asyncio.FIRST_COMPLETED)
        for part in parts & ended:
            part.result()
        parts -= ended  # a book without a store has nothing to follow
    if heard.result() is signal.SIGTERM:
        await signals.drain(path)


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
