"""A template has a pool of its own, or none; either may change while tmpenv runs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from spawner.backends.memory import MemoryBackend
from spawner.backends.memory_faults import HoldsStarts
from spawner.errors import PoolFull, TemplateDeclared, UnknownTemplate
from spawner.model import Phase, Pool, Template
from tests.deployment import Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually

WITHIN = timedelta(seconds=20)
PUT = Template(name="put", image="put:1")


@pytest.fixture
async def tmpenv(redis_server: RedisServer, instance: str) -> AsyncIterator[Deployment]:
    backend = MemoryBackend()
    async with Deployment(redis_server.url, instance, backend, pool=Pool(size=0)) as deployment:
        yield deployment
    backend.world.close()


async def test_without_a_pool_nothing_is_kept_warm_and_each_launch_starts_one(
    tmpenv: Deployment,
) -> None:
    await tmpenv.service.catalogue.put(PUT)

    environment = await tmpenv.service.launch("put", within=WITHIN)

    status = await tmpenv.status("put")
    assert environment.phase is Phase.ASSIGNED
    assert (status.spares, status.present) == (0, 1)
    assert not tmpenv.service.catalogue.has_pool("put")


async def test_a_pool_that_is_taken_away_loses_its_spares_and_no_session(
    tmpenv: Deployment,
) -> None:
    catalogue = tmpenv.service.catalogue
    await catalogue.put(PUT, Pool(size=3, spare=1))
    session = await tmpenv.service.launch("put", within=WITHIN)
    await tmpenv.until_spares(1, "put")

    await catalogue.set_pool("put", None)

    async def is_only_the_session_left() -> bool:
        return (await tmpenv.status("put")).present == 1

    await eventually(is_only_the_session_left)
    await tmpenv.until_phase(session.id, Phase.ASSIGNED)
    assert (await tmpenv.service.launch("put", within=WITHIN)).id != session.id


async def test_of_many_resizes_at_once_one_is_the_last_and_none_is_refused(
    tmpenv: Deployment,
) -> None:
    catalogue = tmpenv.service.catalogue
    await catalogue.put(PUT)

    recipes = await asyncio.gather(*(catalogue.set_pool("put", Pool(size=n)) for n in range(8)))

    last = max(recipes, key=lambda recipe: recipe.version)
    assert len({recipe.version for recipe in recipes}) == 8
    assert catalogue.recipes["put"] == last


async def test_resizes_at_two_processes_change_no_template(
    redis_server: RedisServer, instance: str, tmpenv: Deployment
) -> None:
    await tmpenv.service.catalogue.put(PUT)
    second = Deployment(redis_server.url, instance, tmpenv.backend, holder="second")
    async with second:
        await second.core.catalogue.until_read()

        await asyncio.gather(
            *(
                one.service.catalogue.set_pool("put", Pool(size=n))
                for n, one in enumerate((tmpenv, second, tmpenv, second))
            )
        )

        async def do_agree() -> bool:
            return (
                tmpenv.service.catalogue.recipes["put"] == second.service.catalogue.recipes["put"]
            )

        await eventually(do_agree)
        assert second.service.templates["put"] == PUT


async def test_a_pool_of_nothing_hands_out_nothing_though_spares_are_left(
    redis_server: RedisServer, instance: str
) -> None:
    backend = MemoryBackend()
    async with Deployment(redis_server.url, instance, backend, pool=Pool(size=1)) as tmpenv:
        await tmpenv.until_spares(1)

        taken = await tmpenv.store.acquire("t", "ticket", size=0, remember=False)

        assert taken is None
        assert (await tmpenv.status()).spares == 1
    backend.world.close()


async def test_a_launch_that_waits_outlives_its_pool(
    redis_server: RedisServer, instance: str
) -> None:
    backend = HoldsStarts()
    async with Deployment(redis_server.url, instance, backend) as tmpenv:
        await tmpenv.service.catalogue.put(PUT, Pool(size=1))
        waiting = asyncio.create_task(tmpenv.service.launch("put", within=WITHIN))

        async def waits() -> bool:
            return (await tmpenv.status("put")).waiting == 1

        await eventually(waits)
        await tmpenv.service.catalogue.set_pool("put", None)
        backend.gate.set()

        assert (await waiting).phase is Phase.ASSIGNED
    backend.world.close()


async def test_declared_pools_and_those_of_nothing_cannot_be_changed(tmpenv: Deployment) -> None:
    with pytest.raises(TemplateDeclared):
        await tmpenv.service.catalogue.set_pool("t", Pool(size=3))
    with pytest.raises(UnknownTemplate):
        await tmpenv.service.catalogue.set_pool("nosuch", Pool(size=3))
    with pytest.raises(PoolFull):
        await tmpenv.service.launch("t", within=WITHIN)


async def test_a_template_keeps_when_it_was_first_put_and_a_pool_is_no_modification(
    tmpenv: Deployment,
) -> None:
    catalogue = tmpenv.service.catalogue
    first = await catalogue.put(PUT)
    resized = await catalogue.set_pool("put", Pool(size=2))

    async def is_later() -> bool:
        assert first.modified_at is not None
        return await tmpenv.store.now() > first.modified_at + timedelta(milliseconds=2)

    await eventually(is_later)
    second = await catalogue.put(PUT.model_copy(update={"image": "put:2"}))
    await catalogue.read()

    assert first.created_at == first.modified_at == resized.modified_at
    assert second.created_at == first.created_at
    assert second.modified_at is not None
    assert first.modified_at is not None
    assert second.modified_at > first.modified_at
    assert catalogue.recipes["put"] == second


async def test_what_an_older_tmpenv_put_is_read_and_changed(tmpenv: Deployment) -> None:
    old = '7 {"template": {"name": "old", "image": "old:1"}, "pool": {"size": 0}}'
    await tmpenv.connection.client.hset(tmpenv.connection.keys.recipes, "old", old)
    await tmpenv.core.catalogue.read()

    found = tmpenv.service.catalogue.recipes["old"]
    changed = await tmpenv.service.catalogue.put(PUT.model_copy(update={"name": "old"}))

    assert (found.version, found.created_at, found.pool) == (7, None, Pool(size=0))
    assert changed.created_at is not None
    assert changed.pool == Pool(size=0)
