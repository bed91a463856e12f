"""The application over the real core, on a real Redis, with environments in memory."""

import asyncio
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from culler.policy import CullingSettings
from spawner.backends.memory import MemoryBackend
from spawner.identity import Tokens
from spawner.model import Pool, PoolStatus, Template
from spawner.service import Service
from spawner.store.connection import Connection
from spawner.store.embedded import find_server
from spawner.store.feed import Feed
from spawner.store.keys import Keys
from spawner.store.store import Store
from tests.components import require
from tests.waiting import eventually
from web.application import build
from web.assembly import Recipes, assemble
from web.config_sources import load

API_KEY = "operators-key"


async def nothing() -> None:
    """Write down no activity: nothing is proxied here."""


@dataclass
class Site:
    """The application as its clients see it, and what stands behind it."""

    client: TestClient[Any, Any]
    service: Service
    backend: MemoryBackend

    async def get(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        return await self.client.get(path, headers=headers, allow_redirects=False)

    async def visit(self, path: str, **headers: str) -> aiohttp.ClientResponse:
        """Go somewhere as a browser does."""
        return await self.get(path, **{"Accept": "text/html,*/*;q=0.8", **headers})

    async def pool(self, template: str) -> PoolStatus:
        return next(one for one in await self.service.pool_status() if one.template == template)

    async def has_spares(self, count: int, template: str = "lab") -> None:
        async def check() -> bool:
            return (await self.pool(template)).spares == count

        await eventually(check)


Open = Callable[..., Any]
LAB = Template(name="lab", title="The Lab", description="Try it", image="lab:1", start_timeout=5)


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Run one Redis for all tests; each of them has an instance of its own on it."""
    require("redis-server")
    # Not tmp_path: the path of a Unix socket is short.
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        path = Path(directory) / "redis.sock"
        arguments = ("--port", "0", "--unixsocket", str(path), "--save", "", "--dir", directory)
        with subprocess.Popen([find_server(), *arguments], stdout=subprocess.DEVNULL) as server:
            _await_socket(path)
            yield f"unix://{path}"
            server.terminate()


@pytest.fixture
def open_site(redis_url: str) -> Open:
    """Give what opens a site for a test; each has an instance of its own."""

    @asynccontextmanager
    async def open_(
        *,
        templates: tuple[Template, ...] = (LAB,),
        pool: Pool | None = None,
        backend: MemoryBackend | None = None,
        **settings: Any,
    ) -> AsyncIterator[Site]:
        backend = backend or MemoryBackend()
        pool = pool or Pool(size=3, spare=1)
        async with AsyncExitStack() as stack:
            stack.callback(backend.world.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            connection = Connection(redis_url, Keys(uuid.uuid4().hex))
            stack.push_async_callback(connection.close)
            core = assemble(
                Store(connection),
                Feed(connection),
                backend,
                tokens=Tokens("secret"),
                recipes=Recipes(
                    templates={one.name: one for one in templates},
                    pools={one.name: pool for one in templates},
                    max_starting=4,
                    culling=CullingSettings(),
                ),
                session=session,
                flush=nothing,
            )
            running = asyncio.create_task(core.run())
            stack.push_async_callback(_end, running)
            app = build(core.service, load(flags=settings, environ={}), api_key=API_KEY)
            server = TestServer(app, handler_cancellation=True, access_log=None)
            client = await stack.enter_async_context(
                TestClient(server, cookie_jar=aiohttp.DummyCookieJar())
            )
            yield Site(client, core.service, backend)

    return open_


@pytest.fixture
async def site(open_site: Open) -> AsyncIterator[Site]:
    async with open_site() as site:
        await site.has_spares(1)
        yield site


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _await_socket(path: Path) -> None:
    deadline = time.monotonic() + 10
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(path)):
            assert time.monotonic() < deadline, "Redis does not start"
            time.sleep(0.01)
