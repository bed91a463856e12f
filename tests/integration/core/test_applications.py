"""Launches that nobody waits for, known by one id from the first answer to a day after the end."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from spawner.applications import Application
from spawner.backends.memory import MemoryBackend
from spawner.backends.memory_faults import HoldsStarts, NeverStarts
from spawner.errors import KeyReused, PoolFull
from spawner.model import Auth, Pool, Template
from tests.deployment import Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually

T = Template(name="t")
GUARDED = Template(name="guarded", auth=Auth.URL)


class Make:
    """Makes cores of one instance."""

    def __init__(self, url: str, instance: str) -> None:
        self._url, self._instance = url, instance

    def __call__(self, backend: MemoryBackend, **options: Any) -> Deployment:
        options = {"pool": Pool(size=2, spare=0), "templates": (T, GUARDED), **options}
        return Deployment(self._url, self._instance, backend, **options)


@pytest.fixture
async def backend() -> AsyncIterator[HoldsStarts]:
    backend = HoldsStarts()
    yield backend
    backend.world.close()


@pytest.fixture
def make(redis_server: RedisServer, instance: str) -> Make:
    return Make(redis_server.url, instance)


async def until_running(tmpenv: Deployment, application_id: str) -> Application:
    async def runs() -> Application | None:
        found = await tmpenv.service.applications.find(application_id)
        return found if found and found.environment else None

    found = await eventually(runs)
    assert found is not None
    return found


async def nobody_asks_for(tmpenv: Deployment, application_id: str, minutes: float) -> None:
    """Let time pass for one launch."""
    keys, client = tmpenv.connection.keys, tmpenv.connection.client
    await client.zincrby(f"{keys.prefix}tickets", -minutes * 60_000, application_id)
    await tmpenv.store.lapse("abandoned")


async def test_an_application_that_waits_keeps_its_id_when_it_runs_and_when_it_has_ended(
    make: Make, backend: HoldsStarts
) -> None:
    async with make(backend) as tmpenv:
        applications = tmpenv.service.applications
        waiting = await applications.launch("t", auth=Auth.PROXY)
        backend.gate.set()
        running = await until_running(tmpenv, waiting.id)
        assert running.environment is not None
        await applications.stop(running)

        async def has_ended() -> bool:
            return [one.id for one in await applications.ended()] == [waiting.id]

        await eventually(has_ended)

    assert (waiting.place, waiting.environment) == (1, None)
    assert running.id == waiting.id
    assert running.environment.id != waiting.id


async def test_a_spare_is_known_by_its_own_id_at_once(make: Make, backend: HoldsStarts) -> None:
    backend.gate.set()
    async with make(backend, pool=Pool(size=2)) as tmpenv:
        await tmpenv.until_spares(2)

        application = await tmpenv.service.applications.launch("t", auth=Auth.PROXY)

        assert application.environment is not None
        assert application.id == application.environment.id
        assert await tmpenv.service.applications.find(application.id) == application


async def test_who_knows_a_guarded_environment_is_not_told_what_opens_it(
    make: Make, backend: HoldsStarts
) -> None:
    backend.gate.set()
    async with make(backend, pool=Pool(size=2)) as tmpenv:
        await tmpenv.until_spares(2, "guarded")
        applications = tmpenv.service.applications

        launched = await applications.launch("guarded", auth=Auth.URL)
        assert launched.environment is not None
        by_address = await applications.find(launched.environment.id)
        by_ticket = await applications.find(launched.id)

        assert by_address is not None
        assert launched.is_ticket
        assert by_ticket == launched
        assert by_address.id == launched.environment.id
        assert not by_address.is_ticket


async def test_a_launch_goes_on_for_minutes_though_nobody_asks_and_is_then_told_as_given_up(
    make: Make, backend: HoldsStarts
) -> None:
    async with make(backend) as tmpenv:
        applications = tmpenv.service.applications
        launched = await applications.launch("t", auth=Auth.PROXY)

        await nobody_asks_for(tmpenv, launched.id, 9.9)
        found = await applications.find(launched.id)
        await nobody_asks_for(tmpenv, launched.id, 9.9)
        again = await applications.find(launched.id)
        await nobody_asks_for(tmpenv, launched.id, 10.1)
        lapsed = await applications.find(launched.id)

        assert found == again == launched
        assert lapsed is not None
        assert lapsed.given_up == "abandoned"
        assert [one.id for one in await applications.ended()] == [launched.id]
        assert (await tmpenv.status()).waiting == 0


async def test_an_environment_that_nobody_fetched_stays_until_it_is_culled(
    make: Make, backend: HoldsStarts
) -> None:
    async with make(backend) as tmpenv:
        launched = await tmpenv.service.applications.launch("t", auth=Auth.PROXY)
        backend.gate.set()

        async def is_handed_out() -> bool:
            return [one.id for one in await tmpenv.service.applications.all()] == [
                launched.id
            ] and not (await tmpenv.status()).waiting

        await eventually(is_handed_out)
        assert await tmpenv.store.lapse("abandoned") == 0
        ttl = await tmpenv.connection.client.ttl(
            f"{tmpenv.connection.keys.prefix}ticket:{launched.id}"
        )
        assert ttl == -1
        application = await until_running(tmpenv, launched.id)
        await tmpenv.service.applications.stop(application)

        async def is_forgotten_later() -> bool:
            name = f"{tmpenv.connection.keys.prefix}ticket:{launched.id}"
            return 0 < int(await tmpenv.connection.client.ttl(name)) <= 86_400

        await eventually(is_forgotten_later)
        assert not await tmpenv.connection.client.zcard(f"{tmpenv.connection.keys.prefix}tickets")


async def test_a_launch_survives_a_crash(make: Make, backend: HoldsStarts) -> None:
    async with make(backend, holder="first") as tmpenv:
        launched = await tmpenv.service.applications.launch("t", auth=Auth.PROXY)
    backend.gate.set()

    async with make(backend, holder="second") as tmpenv:
        found = await until_running(tmpenv, launched.id)

    assert found.id == launched.id


async def test_a_launch_whose_environments_do_not_come_up_says_why(make: Make) -> None:
    backend = NeverStarts()
    async with make(backend) as tmpenv:
        launched = await tmpenv.service.applications.launch("t", auth=Auth.PROXY)

        async def has_failed() -> Application | None:
            found = await tmpenv.service.applications.find(launched.id)
            return found if found and found.given_up else None

        found = await eventually(has_failed)
        assert found is not None
        assert found.given_up.startswith("failing: ")
    backend.world.close()


async def test_the_same_ticket_gives_the_same_application_also_after_its_end(
    make: Make, backend: HoldsStarts
) -> None:
    async with make(backend) as tmpenv:
        applications = tmpenv.service.applications
        first = await applications.launch("t", auth=Auth.PROXY, ticket="mine")
        second = await applications.launch("t", auth=Auth.PROXY, ticket="mine")
        with pytest.raises(KeyReused):
            await applications.launch("guarded", auth=Auth.URL, ticket="mine")
        await applications.stop(second)
        third = await applications.launch("t", auth=Auth.PROXY, ticket="mine")
        backend.gate.set()
        fourth = await applications.launch("t", auth=Auth.PROXY, ticket="other")
        running = await until_running(tmpenv, fourth.id)
        await applications.stop(running)
        fifth = await applications.launch("t", auth=Auth.PROXY, ticket="other")

        assert first.id == second.id == third.id == "mine"
        assert third.given_up == "stopped"
        assert fifth.id == "other"
        assert fifth.environment is not None
        assert running.environment is not None
        assert fifth.environment.id == running.environment.id


async def test_a_full_pool_takes_nobody(make: Make, backend: HoldsStarts) -> None:
    async with make(backend) as tmpenv:
        for _ in range(2):
            await tmpenv.service.applications.launch("t", auth=Auth.PROXY)
        with pytest.raises(PoolFull):
            await tmpenv.service.applications.launch("t", auth=Auth.PROXY)

        assert [one.place for one in await tmpenv.service.applications.all()] == [1, 2]


async def test_the_idle_time_that_was_asked_for_is_kept_with_the_environment(
    make: Make, backend: HoldsStarts
) -> None:
    second = timedelta(seconds=1)
    async with make(backend, pool=Pool(size=3, spare=1)) as tmpenv:
        waited = await tmpenv.service.applications.launch("t", auth=Auth.PROXY, idle_timeout=second)
        backend.gate.set()
        slow = await until_running(tmpenv, waited.id)
        await tmpenv.until_spares(1)
        quick = await tmpenv.service.applications.launch("t", auth=Auth.PROXY, idle_timeout=second)

        assert slow.environment is not None
        assert quick.environment is not None
        assert slow.environment.idle_timeout == quick.environment.idle_timeout == second
