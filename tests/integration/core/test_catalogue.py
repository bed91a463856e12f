"""Templates and pools change while tmpenv runs, for every process on one Redis."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from spawner.backends.memory import MemoryBackend
from spawner.backends.memory_faults import HoldsStarts
from spawner.errors import TemplateChanged, TemplateDeclared, UnknownTemplate
from spawner.model import Auth, Phase, Pool, Template
from tests.deployment import Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually

WITHIN = timedelta(seconds=20)
PUT = Template(name="put", image="put:1")


@pytest.fixture
def backend() -> Iterator[MemoryBackend]:
    backend = MemoryBackend()
    yield backend
    backend.world.close()


def knows(tmpenv: Deployment, name: str) -> bool:
    return name in tmpenv.service.templates and name in tmpenv.service.pools


async def until_known(tmpenv: Deployment, name: str, *, known: bool = True) -> None:
    async def check() -> bool:
        return knows(tmpenv, name) is known

    await eventually(check)


async def test_what_is_put_at_one_process_is_handed_out_by_the_other(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with (
        Deployment(redis_server.url, instance, backend, holder="a") as first,
        Deployment(redis_server.url, instance, backend, holder="b") as second,
    ):
        await first.service.catalogue.put(PUT, Pool(size=3, spare=1))
        assert knows(first, "put")

        await until_known(second, "put")
        await second.until_spares(1, "put")
        environment = await second.service.launch("put", within=WITHIN)

        assert environment.template == "put"
        assert list(second.service.templates) == ["t", "put"]


async def test_what_was_put_survives_a_crash_and_a_restart_of_redis(
    own_redis: RedisServer, backend: MemoryBackend
) -> None:
    async with Deployment(own_redis.url, "i", backend) as tmpenv:
        await tmpenv.service.catalogue.put(PUT, Pool(size=2, spare=1))
        await tmpenv.until_spares(1, "put")
        before = {one.id for one in await tmpenv.service.environments()}
    own_redis.stop()
    own_redis.start()

    async with Deployment(own_redis.url, "i", backend) as tmpenv:
        await until_known(tmpenv, "put")
        assert tmpenv.service.templates["put"] == PUT
        assert tmpenv.service.pools["put"] == Pool(size=2, spare=1)
        await eventually(tmpenv.store.is_complete)
        await tmpenv.until_spares(1, "put")
        # Nobody took its spare for that of a template that is gone.
        assert before == {one.id for one in await tmpenv.service.environments()}


async def test_a_changed_template_replaces_its_spares_and_no_session(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with Deployment(redis_server.url, instance, backend) as tmpenv:
        await tmpenv.service.catalogue.put(PUT, Pool(size=4, spare=1))
        session = await tmpenv.service.launch("put", within=WITHIN)
        await tmpenv.until_spares(1, "put")

        await tmpenv.service.catalogue.put(PUT.model_copy(update={"image": "put:2"}))
        digest = tmpenv.service.templates["put"].digest

        async def is_replaced() -> bool:
            spares = await tmpenv.store.environments((Phase.READY,))
            return [one.digest for one in spares if one.template == "put"] == [digest]

        await eventually(is_replaced, within=4)
        await tmpenv.until_phase(session.id, Phase.ASSIGNED)
        assert tmpenv.service.pools["put"] == Pool(size=4, spare=1)


async def test_a_resized_pool_is_filled_and_emptied_at_once(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with Deployment(redis_server.url, instance, backend) as tmpenv:
        catalogue = tmpenv.service.catalogue
        for spare in (1, 3, 0):
            await catalogue.put(PUT, Pool(size=5, spare=spare))

            async def has_spares(spare: int = spare) -> bool:
                return (await tmpenv.status("put")).spares == spare

            await eventually(has_spares, within=4)


async def test_a_removed_template_loses_its_spares_and_no_session(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with Deployment(redis_server.url, instance, backend) as tmpenv:
        await tmpenv.service.catalogue.put(PUT, Pool(size=3, spare=1))
        session = await tmpenv.service.launch("put", within=WITHIN)
        await tmpenv.until_spares(1, "put")

        await tmpenv.service.catalogue.remove("put")

        with pytest.raises(UnknownTemplate):
            await tmpenv.service.request("put")
        await tmpenv.until_spares(0, "put")
        assert (await tmpenv.until_phase(session.id, Phase.ASSIGNED)).template == "put"
        (shown,) = [one for one in await tmpenv.service.pool_status() if one.template == "put"]
        assert shown.counts[Phase.ASSIGNED] == 1


async def test_who_waits_for_a_template_that_is_removed_is_told(
    redis_server: RedisServer, instance: str
) -> None:
    backend = HoldsStarts()
    async with Deployment(redis_server.url, instance, backend) as tmpenv:
        await tmpenv.service.catalogue.put(PUT, Pool(size=1, spare=0))
        waiting = await tmpenv.service.request("put")
        assert waiting.environment is None

        await tmpenv.service.catalogue.remove("put")

        with pytest.raises(UnknownTemplate):
            async for _ in tmpenv.service.follow(waiting.id):
                pass
        assert (await tmpenv.status("put")).waiting == 0
        backend.gate.set()
    backend.world.close()


async def test_what_the_configuration_declares_wins(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with Deployment(redis_server.url, instance, backend) as tmpenv:
        await tmpenv.service.catalogue.put(PUT)
        with pytest.raises(TemplateDeclared):
            await tmpenv.service.catalogue.put(Template(name="t", image="other"))
        with pytest.raises(TemplateDeclared):
            await tmpenv.service.catalogue.remove("t")

    declared = Template(name="put", image="declared")
    async with Deployment(redis_server.url, instance, backend, templates=(declared,)) as tmpenv:
        await tmpenv.core.catalogue.until_read()
        assert tmpenv.service.templates["put"] == declared


async def test_of_two_changes_to_one_version_the_second_is_refused(
    redis_server: RedisServer, instance: str, backend: MemoryBackend
) -> None:
    async with Deployment(redis_server.url, instance, backend) as tmpenv:
        catalogue = tmpenv.service.catalogue
        first = await catalogue.put(PUT, expected=0)

        with pytest.raises(TemplateChanged):
            await catalogue.put(PUT, Pool(), expected=0)
        second = await catalogue.put(PUT, Pool(size=7), expected=first.version)
        with pytest.raises(TemplateChanged):
            await catalogue.remove("put", expected=first.version)
        await catalogue.remove("put", expected=second.version)
        with pytest.raises(UnknownTemplate):
            await catalogue.remove("put")


async def test_while_redis_is_away_what_was_known_stays(
    own_redis: RedisServer, backend: MemoryBackend
) -> None:
    async with Deployment(own_redis.url, "i", backend) as tmpenv:
        await tmpenv.service.catalogue.put(PUT, Pool(size=2, spare=1))
        await tmpenv.until_spares(1, "put")
        own_redis.stop()

        async def is_noticed() -> bool:
            return not tmpenv.core.feed.is_connected

        await eventually(is_noticed)
        assert knows(tmpenv, "put")
        own_redis.start()

        async def is_heard() -> bool:
            return tmpenv.core.feed.is_connected

        await eventually(is_heard)
        await tmpenv.until_spares(1, "put")
        assert not backend.world.stopped


async def test_what_was_put_is_gone_with_an_emptied_store_and_sessions_go_on(
    own_redis: RedisServer, backend: MemoryBackend
) -> None:
    async with Deployment(own_redis.url, "i", backend) as tmpenv:
        guarded = PUT.model_copy(update={"auth": Auth.COOKIE})
        await tmpenv.service.catalogue.put(guarded, Pool(size=2, spare=0))
        session = await tmpenv.service.launch("put", within=WITHIN)

        own_redis.empty()

        await until_known(tmpenv, "put", known=False)
        found = await tmpenv.until_phase(session.id, Phase.ASSIGNED)
        # Nobody knows its template any more, and it is as guarded as before.
        assert found.auth is Auth.COOKIE
        assert session.id not in backend.world.stopped
