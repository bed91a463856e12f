"""Two replicas that share Redis, processes and state, and the balancer before them."""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.components import require
from tests.integration.replicas import environment
from tests.integration.replicas.balancer import Balancer
from tests.redis_server import RedisServer
from tests.serving import Serving

COMMAND = json.dumps([sys.executable, environment.__file__])
CONFIG = f"""
backend = "process"
default_template = "talk"
[culling]
interval = "200ms"
[templates.talk]
command = {COMMAND}
stop_grace = "100ms"
[templates.brief]
command = {COMMAND}
stop_grace = "100ms"
idle_timeout = "1s"
[pools.talk]
size = 8
spare = 2
[pools.brief]
size = 2
spare = 0
[proxy]
drain_timeout_s = 1
"""

#: Starts a replica: its name, lines of its own for its configuration.
Replica = Callable[..., Awaitable[Serving]]


@dataclass
class Pair:
    """Two replicas."""

    first: Serving
    second: Serving

    @property
    def ports(self) -> tuple[int, int]:
        return self.first.port, self.second.port


@pytest.fixture
async def replica(
    tmp_path: Path, redis_server: RedisServer, instance: str
) -> AsyncIterator[Replica]:
    """Give what starts a replica; all of a test share one instance."""
    async with AsyncExitStack() as stack:

        async def start(name: str, *lines: str, config: str = CONFIG) -> Serving:
            own = "\n".join((f'redis_url = "{redis_server.url}"', *lines, config))
            serving = Serving(tmp_path, own, instance=instance, name=name)
            return await stack.enter_async_context(serving)

        yield start


@pytest.fixture
async def pair(replica: Replica) -> Pair:
    first, second = await replica("first"), await replica("second")
    await first.until_spares(1, "talk")
    return Pair(first, second)


@pytest.fixture
async def balancer(tmp_path: Path, pair: Pair) -> AsyncIterator[Balancer]:
    require("haproxy")
    async with Balancer(tmp_path, pair.ports) as balancer:
        yield balancer
