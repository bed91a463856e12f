"""The composition root: build everything, start it in order, end it in reverse.

::

    embedded Redis ─► store ─► backend ─► core ─► application ─► data path

The port is listened on before the core runs, so that a second tmpenv which finds it
taken has touched nothing.
"""

import asyncio
import signal
import stat
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web

from culler.disk import DiskWatch
from culler.loop import Culler
from proxy.forward import Forward
from proxy.workers import WorkersFailed
from spawner.builder.builds import Builds
from spawner.catalogue import Catalogue
from spawner.core import Core
from spawner.errors import StoreUnavailable
from spawner.identity import Tokens
from spawner.model import Pool, Template
from spawner.store.connection import Connection
from spawner.store.embedded import EmbeddedRedis, EmbeddedRedisError
from spawner.store.keys import Keys
from spawner.store.recipes import RecipeStore
from spawner.store.store import Store
from web import logs
from web.agreement import Agreement, facts_of
from web.application import build, runner
from web.backend_choice import Choice, choose_backend
from web.building import open_builds
from web.certificate import CertificateFiles
from web.config import Settings
from web.data_path import data_path
from web.departure import Departure
from web.egress import EgressLists
from web.ending import end_all
from web.environments_path import EnvironmentsWork
from web.key_files import API_KEY, SECRET_KEY, prepare_state, read_or_make_key
from web.metrics.instruments import Instruments
from web.origin import hosts_of
from web.private_socket import private_socket
from web.public_port import PublicPort
from web.recipes import Recipes, recipes_for
from web.shared_secret import SharedSecret
from web.side_port import Side, serve_beside
from web.signals import Signals
from web.start_errors import StartError, no_redis, no_workers

_SOCKET_MODE = stat.S_IRUSR | stat.S_IWUSR


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A tmpenv that serves."""

    settings: Settings
    choice: Choice
    recipes: Recipes
    port: int


async def serve(settings: Settings, announce: Callable[[Running], None]) -> None:
    """Serve until a signal: TERM ends when what is open has ended, INT at once.

    Raises:
        StartError: It cannot start, and nothing of it is left.
    """
    async with AsyncExitStack() as stack:
        site = _Site(settings, stack)
        running = await site.open()
        announce(running)
        await site.until_ended()


class _Site:
    """Everything that one process runs; ``stack`` ends it in reverse."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._tasks: list[asyncio.Task[None]] = []
        self._departure = Departure(settings.drain_delay)
        self._instruments = Instruments()
        #: Nobody is let out before they are known.
        self._templates: Mapping[str, Template] = {}

    async def open(self) -> Running:
        """Build and start everything."""
        settings = self._settings
        self._certificate = _usable_certificate(settings)
        prepare_state(settings.state)
        self._signals = Signals(self._stack)
        self._instruments.lag.start()
        self._stack.callback(self._instruments.lag.stop)
        url, connection = await self._connect()
        shared = SharedSecret(Store(connection), settings.state / SECRET_KEY)
        own = settings.secret_key
        secret = own.get_secret_value() if own else await shared.agree()
        tokens = Tokens(secret)
        choice = await self._choose_backend(connection, tokens)
        agreement = await self._agree(connection, choice, secret)
        recipes = recipes_for(settings, choice.backend.name)
        unpooled = Pool(size=settings.build.pool_size, spare=0)
        catalogue = Catalogue(
            RecipeStore(connection), recipes.templates, recipes.pools, unpooled=unpooled
        )
        self._templates = catalogue.templates
        try:
            await catalogue.read()
        except StoreUnavailable as error:
            raise no_redis(url) from error
        session = await self._stack.enter_async_context(aiohttp.ClientSession())
        culler = self._culler(connection, tokens, session)
        disk = self._disk_watch(connection, choice)
        core = Core(
            connection,
            choice.backend,
            tokens,
            session,
            catalogue=catalogue,
            max_starting=settings.max_starting,
            mount=settings.base_url,
            duties=(culler.run, disk.run) if own else (culler.run, disk.run, shared.keep),
            builds=await self._builds(connection, choice, catalogue),
            recorder=self._instruments.recorder,
        )
        if settings.on_exit == "stop":
            ends = partial(end_all, core.store, choice.backend, catalogue.templates)
            self._stack.push_async_callback(self._unless_followed, ends)
        self._stack.push_async_callback(self._end_tasks)
        work = self._work(url, secret, await self._serve_application(core, culler))
        port = await self._serve_visitors(work, core)
        self._drained = asyncio.create_task(core.drain.run(), name="drain")
        self._stack.callback(self._drained.cancel)
        self._run("agreement", agreement.keep())
        self._run("core", core.run())
        self._run("data path", self._path.run())
        if self._certificate is not None:
            self._signals.renew_by(lambda: self._path.ask(do="renew"))
        return Running(settings=settings, choice=choice, recipes=recipes, port=port)

    async def until_ended(self) -> None:
        """Wait for a signal, a drain's end, or a part that failed, which is raised."""
        heard = asyncio.create_task(self._signals.wait())
        self._stack.callback(heard.cancel)
        ends = {heard, self._drained}
        await asyncio.wait({*ends, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()
                raise AssertionError(f"{task.get_name()} ended by itself")
        if self._drained.done():
            self._drained.result()
            await self._signals.drain(self._path)
        elif heard.result() is signal.SIGTERM:
            followed = self._signals.is_followed
            after_s = 0.0 if followed else self._departure.begin()
            await self._signals.drain(self._path, after_s=after_s)

    async def _connect(self) -> tuple[str, Connection]:
        """Connect to the configured Redis, or to one of our own; give its address too."""
        settings = self._settings
        if settings.redis_url is None:
            embedded = EmbeddedRedis(settings.state / "redis")
            try:
                await embedded.start()
            except EmbeddedRedisError as error:
                raise StartError(str(error)) from error
            self._stack.push_async_callback(embedded.stop)
            url = embedded.url
        else:
            url = settings.redis_url.get_secret_value()
        connection = Connection(url, Keys(settings.instance), self._instruments.recorder)
        self._stack.push_async_callback(connection.close)
        try:
            await Store(connection).ping()
        except StoreUnavailable as error:
            raise no_redis(url) from error
        return url, connection

    async def _choose_backend(self, connection: Connection, tokens: Tokens) -> Choice:
        """Choose what runs environments, and open the way out that it gives them."""
        settings = self._settings
        lists = EgressLists(
            Store(connection), tokens, lambda: self._templates, settings.docker.denied_networks
        )
        way_out = Forward(lists)
        self._stack.push_async_callback(way_out.close)
        choice = await choose_backend(settings, way_out.listen)
        self._stack.push_async_callback(choice.backend.close)
        self._log = logs.style_of(settings, backend=choice.backend.name)
        logs.send(self._log)
        return choice

    async def _agree(self, connection: Connection, choice: Choice, secret: str) -> Agreement:
        """Compare our settings with those of the other replicas."""
        secrets = {"secret_key": secret, "api_key": self._api_key()}
        facts = facts_of(self._settings, backend=choice.backend.name, secrets=secrets)
        agreement = Agreement(Store(connection), facts)
        await agreement.check()
        return agreement

    def _culler(
        self, connection: Connection, tokens: Tokens, session: aiohttp.ClientSession
    ) -> Culler:
        return Culler(
            store=Store(connection),
            tokens=tokens,
            session=session,
            templates=self._templates,
            settings=self._settings.culling,
            flush=self._flush,
            recorder=self._instruments.recorder,
        )

    async def _builds(
        self, connection: Connection, choice: Choice, catalogue: Catalogue
    ) -> Builds | None:
        """Give what makes images, where what runs environments has images."""
        if choice.backend.name != "docker":
            return None
        recorder = self._instruments.recorder
        return await open_builds(self._stack, self._settings, connection, catalogue, recorder)

    def _disk_watch(self, connection: Connection, choice: Choice) -> DiskWatch:
        return DiskWatch(
            store=Store(connection),
            backend=choice.backend,
            templates=self._templates,
            interval=self._settings.culling.disk_interval,
            recorder=self._instruments.recorder,
        )

    async def _serve_application(self, core: Core, culler: Culler) -> str:
        """Serve the application on a socket that only this user can reach; give its path."""
        app = build(
            core.service,
            self._settings,
            culler=culler,
            api_key=self._api_key(),
            departure=self._departure,
        )
        running = runner(app)
        await running.setup()
        self._stack.push_async_callback(running.cleanup)
        path = self._stack.enter_context(private_socket(self._settings.state))
        await web.UnixSite(running, path).start()
        path.chmod(_SOCKET_MODE)
        return str(path)

    def _api_key(self) -> str:
        key = self._settings.api_key
        return key.get_secret_value() if key else read_or_make_key(self._settings.state / API_KEY)

    def _work(self, redis_url: str, secret: str, application: str) -> EnvironmentsWork:
        settings = self._settings
        return EnvironmentsWork(
            proxy=settings.proxy,
            pages=settings.pages,
            mount=settings.base_url,
            certificate=self._certificate,
            hosts=hosts_of(settings),
            instance=settings.instance,
            log=self._log,
            redis_url=redis_url,
            secret=secret,
            application=application,
        )

    async def _serve_visitors(self, work: EnvironmentsWork, core: Core) -> int:
        """Serve the public port; give its number."""
        settings = self._settings
        port = PublicPort(self._stack, self._signals)
        places = port.open(
            settings.host,
            settings.port,
            settings.proxy_workers,
            takes_over=settings.take_over,
            host_flag="--host",
        )
        self._path = data_path(
            lambda: work, places, lambda message: core.reconcile.suspect(message["suspect"])
        )
        self._stack.push_async_callback(self._path.abort)
        try:
            await self._path.start()
        except WorkersFailed as error:
            raise no_workers() from error
        await port.follow()
        if settings.metrics_port is not None:
            application = self._instruments.application(core, self._path)
            side = Side(
                settings.metrics_host, settings.metrics_port, "--metrics-host", "--metrics-port"
            )
            await serve_beside(self._stack, port, application, side)
        return port.number

    async def _unless_followed(self, end: Callable[[], Awaitable[None]]) -> None:
        """Leave everything to the one that has taken the port over, if one has."""
        if not self._signals.is_followed:
            await end()

    async def _flush(self) -> None:
        """Have all activity written that is known of."""
        await self._path.ask(do="flush")

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task


def _usable_certificate(settings: Settings) -> CertificateFiles | None:
    """Give the certificate's files, which are read once, so that nothing begins in vain."""
    files = CertificateFiles.of(settings)
    if files is not None:
        files.read()
    return files
