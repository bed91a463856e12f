"""A drain is decided in the store, in one step with every hand-out."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from spawner.backends.memory import MemoryBackend
from spawner.errors import Draining
from spawner.model import Phase, Pool
from tests.deployment import Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually

LONG = timedelta(seconds=30)
POOL = Pool(size=8, spare=4)


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    backend = MemoryBackend()
    yield backend
    backend.world.close()


async def test_nothing_is_handed_out_after_the_step_that_drains(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with (
        Deployment(redis_server.url, instance, backend, pool=POOL) as first,
        Deployment(redis_server.url, instance, backend, pool=POOL) as second,
    ):
        await first.until_spares(4)
        launches = [
            asyncio.create_task(one.service.launch("t", within=LONG)) for one in (first, second) * 3
        ]
        await second.core.drain.begin()
        handed_out = (await first.status()).counts[Phase.ASSIGNED]
        waiting = (await first.status()).waiting

        outcomes = await asyncio.gather(*launches, return_exceptions=True)

        given = [one for one in outcomes if not isinstance(one, BaseException)]
        refused = [one for one in outcomes if isinstance(one, Draining)]
        assert len(given) + len(refused) == len(launches)
        # Who had an environment or a place at that step, and nobody else.
        assert len(given) <= handed_out + waiting
        with pytest.raises(Draining):
            await first.service.launch("t", within=LONG)
        with pytest.raises(Draining):
            await second.service.request("t")


async def test_whoever_waits_when_it_begins_still_gets_an_environment(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with Deployment(redis_server.url, instance, backend, pool=Pool(size=2, spare=0)) as one:
        waiting = asyncio.create_task(one.service.launch("t", within=LONG))

        async def waits() -> bool:
            status = await one.status()
            return bool(status.waiting or status.present)

        await eventually(waits)
        await one.core.drain.begin()

        assert (await waiting).phase is Phase.ASSIGNED


async def test_spares_end_and_the_drain_with_the_last_environment(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with Deployment(redis_server.url, instance, backend, pool=POOL) as one:
        await one.until_spares(4)
        visited = await one.service.launch("t", within=LONG)
        ended = asyncio.create_task(one.core.drain.run())
        await one.core.drain.begin()

        async def is_alone() -> bool:
            return (await one.core.drain.status()).environments == 1

        await eventually(is_alone)
        assert not ended.done()
        await one.service.stop(visited.id)

        async with asyncio.timeout(15):
            await ended
        with pytest.raises(Draining):
            await one.service.request("t")


async def test_who_starts_in_a_drain_goes_on_with_it_and_after_it_serves(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with Deployment(redis_server.url, instance, backend, pool=POOL) as one:
        await one.until_spares(4)
        visited = await one.service.launch("t", within=LONG)
        first = asyncio.create_task(one.core.drain.run())
        await one.core.drain.begin()
        restarted = asyncio.create_task(one.core.drain.run())
        with pytest.raises(Draining):
            await one.service.request("t")
        await one.service.stop(visited.id)
        async with asyncio.timeout(15):
            await asyncio.gather(first, restarted)

        next_one = asyncio.create_task(one.core.drain.run())

        await eventually(lambda: serves(one))
        assert (await one.service.launch("t", within=LONG)).phase is Phase.ASSIGNED
        assert not next_one.done()
        next_one.cancel()


async def serves(one: Deployment) -> bool:
    return not (await one.core.drain.status()).is_on


async def test_one_that_is_taken_back_ends_nobody(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with Deployment(redis_server.url, instance, backend, pool=POOL) as one:
        await one.until_spares(4)
        assert await one.core.drain.begin()
        assert not await one.core.drain.begin()

        assert await one.core.drain.take_back()

        assert not await one.core.drain.take_back()
        assert (await one.service.launch("t", within=LONG)).phase is Phase.ASSIGNED
        await one.until_spares(4)
