"""The composition root: build everything, start it in order, end it in reverse.

::

    embedded Redis ─► store ─► backend ─► core ─► application ─► edge

The port is bound before the core runs, so that a second tmpenv which finds it
taken has touched nothing.
"""

import asyncio
import signal
import stat
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from culler.loop import Culler
from proxy.activity import ActivityLog
from proxy.environments import EnvironmentRouter
from proxy.listener import Proxy
from proxy.routes import RouteTable
from proxy.sockets import listen, port_of
from spawner.core import Core
from spawner.errors import StoreUnavailable
from spawner.identity import Tokens
from spawner.store.connection import Connection
from spawner.store.embedded import EmbeddedRedis, EmbeddedRedisError
from spawner.store.keys import Keys
from spawner.store.store import Store
from web.activity import ActivityWriter
from web.application import build, runner
from web.backend_choice import Choice, choose_backend
from web.config import Settings
from web.ending import end_all
from web.key_files import API_KEY, SECRET_KEY, prepare_state, read_or_make_key
from web.middleware import security_headers
from web.private_socket import private_socket
from web.problem_pages import edge_page
from web.recipes import Recipes, recipes_for
from web.routing import Routing
from web.shared_secret import SharedSecret
from web.signals import Signals
from web.start_errors import StartError, cannot_listen, no_redis

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

    async def open(self) -> Running:
        """Build and start everything."""
        settings = self._settings
        prepare_state(settings.state)
        self._signals = Signals(self._stack)
        connection = await self._connect()
        secret = SharedSecret(Store(connection), settings.state / SECRET_KEY)
        own = settings.secret_key
        tokens = Tokens(own.get_secret_value() if own else await secret.agree())
        choice = await choose_backend(settings)
        self._stack.push_async_callback(choice.backend.close)
        recipes = recipes_for(settings, choice.backend.name)
        session = await self._stack.enter_async_context(aiohttp.ClientSession())

        activity = ActivityLog()
        writer = ActivityWriter(activity, Store(connection))
        culler = Culler(
            store=Store(connection),
            tokens=tokens,
            session=session,
            templates=recipes.templates,
            settings=settings.culling,
            flush=writer.flush,
        )
        core = Core(
            connection,
            choice.backend,
            tokens,
            session,
            templates=recipes.templates,
            pools=recipes.pools,
            max_starting=settings.max_starting,
            duties=(culler.run,) if own else (culler.run, secret.keep),
        )
        if settings.on_exit == "stop":
            self._stack.push_async_callback(end_all, core.store, choice.backend, recipes.templates)
        self._stack.push_async_callback(self._end_tasks)
        table = RouteTable()
        table.observe(writer.observe)
        routing = Routing(table, core.store, tokens, core.reconcile.suspect)
        core.feed.listen(routing.hear)
        self._proxy = Proxy(
            router=EnvironmentRouter(
                routes=table,
                resolver=routing,
                application=await self._serve_application(core),
                settings=settings.proxy,
                activity=activity,
            ),
            settings=settings.proxy,
            page=edge_page,
            page_headers=security_headers(settings.pages),
        )
        port = await self._listen()
        for name, work in (("core", core.run), ("routes", routing.run), ("activity", writer.run)):
            self._run(name, work())
        return Running(settings=settings, choice=choice, recipes=recipes, port=port)

    async def until_ended(self) -> None:
        """Wait for a signal, or for a part that failed, which is raised."""
        heard = asyncio.create_task(self._signals.wait())
        self._stack.callback(heard.cancel)
        await asyncio.wait({heard, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in self._tasks:
            if task.done():
                task.result()
                raise AssertionError(f"{task.get_name()} ended by itself")
        if heard.result() is signal.SIGTERM:
            await self._signals.drain(self._proxy)

    async def _connect(self) -> Connection:
        """Connect to the configured Redis, or to one of our own."""
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
        connection = Connection(url, Keys(settings.instance))
        self._stack.push_async_callback(connection.close)
        try:
            await Store(connection).ping()
        except StoreUnavailable as error:
            raise no_redis(url) from error
        return connection

    async def _serve_application(self, core: Core) -> str:
        """Serve the application on a socket that only this user can reach; give its path."""
        key = self._settings.api_key
        api_key = (
            key.get_secret_value() if key else read_or_make_key(self._settings.state / API_KEY)
        )
        running = runner(build(core.service, self._settings, api_key=api_key))
        await running.setup()
        self._stack.push_async_callback(running.cleanup)
        path = self._stack.enter_context(private_socket(self._settings.state))
        await web.UnixSite(running, path).start()
        path.chmod(_SOCKET_MODE)
        return str(path)

    async def _listen(self) -> int:
        """Serve the public port; give its number."""
        host, port = self._settings.host, self._settings.port
        self._stack.push_async_callback(self._proxy.abort)
        try:
            listeners = listen(host, port)
        except OSError as error:
            raise cannot_listen(host, port, error) from error
        await self._proxy.serve(listeners[0])
        return port_of(listeners)

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
