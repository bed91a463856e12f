"""The application over the real core, on a real Redis, with environments in memory."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from culler.loop import Culler
from spawner.backends.memory import MemoryBackend
from spawner.identity import Tokens
from spawner.model import Pool, PoolStatus, Template
from spawner.service import Service
from tests.deployment import SECRET, Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually
from web.application import build, reading_options
from web.config_sources import load

API_KEY = "operators-key"


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


async def _nothing_to_flush() -> None:
    """Stand for a data path that has seen no activity."""


@pytest.fixture
def open_site(redis_server: RedisServer, open_site_on: Open) -> Open:
    """Give what opens a site for a test, on an instance of its own."""
    return partial(open_site_on, redis_server)


@pytest.fixture
def open_site_on(instance: str) -> Open:
    """Give what opens a site on a Redis that the test chooses."""

    @asynccontextmanager
    async def open_(
        redis: RedisServer,
        *,
        templates: tuple[Template, ...] = (LAB,),
        pool: Pool | None = None,
        backend: MemoryBackend | None = None,
        **settings: Any,
    ) -> AsyncIterator[Site]:
        backend = backend or MemoryBackend()
        loaded = load(flags=settings, environ={})
        deployment = Deployment(
            redis.url,
            instance,
            backend,
            templates=templates,
            pool=pool or Pool(size=3, spare=1),
            mount=loaded.base_url,
        )
        async with AsyncExitStack() as stack:
            stack.callback(backend.world.close)
            await stack.enter_async_context(deployment)
            service = deployment.service
            culler = Culler(
                store=deployment.store,
                tokens=Tokens(SECRET),
                session=deployment.session,
                templates=service.templates,
                settings=loaded.culling,
                flush=_nothing_to_flush,
            )
            app = build(service, loaded, culler=culler, api_key=API_KEY)
            server = TestServer(app)
            await server.start_server(**reading_options(app))
            jar = aiohttp.DummyCookieJar()
            client = await stack.enter_async_context(
                TestClient(server, cookie_jar=jar, headers={"X-Request-Id": "named by the edge"})
            )
            yield Site(client, service, backend)

    return open_


@pytest.fixture
async def site(open_site: Open) -> AsyncIterator[Site]:
    async with open_site() as site:
        await site.has_spares(1)
        yield site
