"""Redis goes, comes back, and comes back empty."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from spawner.backends.memory import MemoryBackend
from spawner.errors import StoreUnavailable
from spawner.model import Phase, Pool
from tests.deployment import Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually

WITHIN = timedelta(seconds=20)


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    backend = MemoryBackend()
    yield backend
    backend.world.close()


async def test_while_redis_is_away_nothing_ends_and_launches_say_so(
    own_redis: RedisServer, backend: MemoryBackend
) -> None:
    async with Deployment(own_redis.url, "i", backend, pool=Pool(size=3, spare=1)) as tmpenv:
        session = await tmpenv.service.launch("t", within=WITHIN)
        await tmpenv.until_spares(1)

        own_redis.stop()
        with pytest.raises(StoreUnavailable):
            await tmpenv.service.launch("t", within=WITHIN)
        own_redis.start()

        await eventually(lambda: is_assigned(tmpenv, session.id))
        again = await tmpenv.service.launch("t", within=WITHIN)
        assert again.id != session.id
        assert not backend.world.stopped


async def is_assigned(tmpenv: Deployment, environment_id: str) -> bool:
    try:
        environment = await tmpenv.service.find(environment_id)
    except StoreUnavailable:
        return False
    return environment is not None and environment.phase is Phase.ASSIGNED


async def test_an_emptied_store_is_rebuilt_from_what_runs(
    own_redis: RedisServer, backend: MemoryBackend
) -> None:
    async with Deployment(own_redis.url, "i", backend, pool=Pool(size=4, spare=1)) as tmpenv:
        sessions = [await tmpenv.service.launch("t", within=WITHIN) for _ in range(2)]
        await tmpenv.until_spares(1)
        backend.world.peak = 0
        alive = set(backend.world.residents)

        own_redis.empty()

        for environment_id in alive:
            await eventually(lambda one=environment_id: is_assigned(tmpenv, one))
        assert not backend.world.stopped
        assert {one.id for one in sessions} <= alive
        # What was a spare may be a visitor's for all that is known; a new one is made.
        await tmpenv.until_spares(1)
        assert backend.world.peak == 4


async def test_an_emptied_store_is_rebuilt_by_the_next_start_too(
    own_redis: RedisServer, backend: MemoryBackend
) -> None:
    async with Deployment(own_redis.url, "i", backend, pool=Pool(size=2, spare=0)) as tmpenv:
        session = await tmpenv.service.launch("t", within=WITHIN)
    own_redis.empty()

    pool = Pool(size=2, spare=0)
    async with Deployment(own_redis.url, "i", backend, pool=pool, mount="/lab1/") as tmpenv:
        assert not await tmpenv.store.is_complete() or await is_assigned(tmpenv, session.id)
        await eventually(lambda: is_assigned(tmpenv, session.id))
        await eventually(tmpenv.store.is_complete)
        found = await tmpenv.service.find(session.id)
        assert found is not None
        assert found.base_path == session.base_path


async def test_what_was_recorded_survives_a_restart_of_redis(own_redis: RedisServer) -> None:
    backend = MemoryBackend()
    async with Deployment(own_redis.url, "i", backend, pool=Pool(size=2)) as tmpenv:
        await tmpenv.until_spares(2)
        before = {one.id for one in await tmpenv.service.environments()}

    own_redis.stop()
    own_redis.start()

    async with Deployment(own_redis.url, "i", backend, pool=Pool(size=2)) as tmpenv:
        await tmpenv.until_spares(2)
        assert {one.id for one in await tmpenv.service.environments()} == before
    backend.world.close()


async def test_a_replica_takes_over_when_the_keeper_ends(
    own_redis: RedisServer, backend: MemoryBackend
) -> None:
    pool = Pool(size=4, spare=1)
    async with Deployment(own_redis.url, "i", backend, pool=pool, holder="b") as second:
        async with Deployment(own_redis.url, "i", backend, pool=pool, holder="a") as first:
            await first.until_spares(1)
            await asyncio.gather(
                first.service.launch("t", within=WITHIN), second.service.launch("t", within=WITHIN)
            )

        async def keeps() -> bool:
            return second.core.keeper.is_keeping

        await eventually(keeps)
        await second.service.launch("t", within=WITHIN)
        await second.until_spares(1)
