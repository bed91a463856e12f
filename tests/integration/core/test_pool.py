"""Pools fill, hand out, refill and recover, with the real store and loops."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from spawner.backends.memory import MemoryBackend, World
from spawner.backends.memory_faults import (
    DiesAtOnce,
    FailsAfterCreate,
    HoldsStarts,
    ImageMissing,
    NeverReady,
    NeverStarts,
    StopFailsTwice,
    Unreachable,
)
from spawner.errors import LaunchTimedOut, PoolFailing, PoolFull, UnknownTemplate
from spawner.model import Phase, Pool, Template
from tests.deployment import Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually

WITHIN = timedelta(seconds=20)


class Make:
    """Makes deployments of one instance."""

    def __init__(self, server: RedisServer, instance: str) -> None:
        self._server = server
        self._instance = instance
        self.worlds: list[World] = []

    def __call__(self, backend: MemoryBackend, **options: object) -> Deployment:
        self.worlds.append(backend.world)
        return Deployment(self._server.url, self._instance, backend, **options)  # type: ignore[arg-type]


@pytest.fixture
def deploy(redis_server: RedisServer, instance: str) -> Iterator[Make]:
    make = Make(redis_server, instance)
    yield make
    for world in make.worlds:
        world.close()


async def test_a_pool_fills_to_its_target_and_refills_after_a_hand_out(deploy: Make) -> None:
    async with deploy(MemoryBackend(), pool=Pool(size=5, spare=2)) as tmpenv:
        await tmpenv.until_spares(2)

        environment = await tmpenv.service.launch("t", within=WITHIN)

        assert environment.phase is Phase.ASSIGNED
        await tmpenv.until_spares(2)
        assert (await tmpenv.status()).present == 3


async def test_one_hundred_launches_on_one_hundred_spares_get_one_each(deploy: Make) -> None:
    async with deploy(MemoryBackend(), pool=Pool(size=100), max_starting=50) as tmpenv:
        await tmpenv.until_spares(100)

        handed = await asyncio.gather(
            *(tmpenv.service.launch("t", within=WITHIN) for _ in range(100))
        )

        assert len({environment.id for environment in handed}) == 100


async def test_a_pool_never_holds_more_than_its_size_and_turns_the_rest_away(deploy: Make) -> None:
    backend = MemoryBackend()
    async with deploy(backend, pool=Pool(size=20, spare=4)) as tmpenv:
        await tmpenv.until_spares(4)

        outcomes = await asyncio.gather(
            *(tmpenv.service.launch("t", within=WITHIN) for _ in range(50)),
            return_exceptions=True,
        )

        full = [one for one in outcomes if isinstance(one, PoolFull)]
        assert len(full) == 30
        assert len({one.id for one in outcomes if not isinstance(one, BaseException)}) == 20
        assert backend.world.peak == 20
        assert all(one.retry_after > timedelta(0) for one in full)


async def test_two_processes_never_hand_out_one_environment_twice(deploy: Make) -> None:
    backend = MemoryBackend()
    pool = Pool(size=200, spare=60)
    async with (
        deploy(backend, pool=pool, holder="a", max_starting=40) as first,
        deploy(backend, pool=pool, holder="b", max_starting=40) as second,
    ):
        await first.until_spares(60)

        handed = await asyncio.gather(
            *(
                (first, second)[number % 2].service.launch("t", within=WITHIN)
                for number in range(200)
            )
        )

        assert len({environment.id for environment in handed}) == 200


async def test_those_who_wait_are_served_in_the_order_they_came(deploy: Make) -> None:
    backend = HoldsStarts()
    async with deploy(backend, pool=Pool(size=3, spare=0)) as tmpenv:
        tickets = [await tmpenv.service.request("t") for _ in range(3)]
        assert [ticket.place for ticket in tickets] == [1, 2, 3]
        await backend.asked.wait()

        backend.gate.set()

        for ticket in tickets:
            assert [one async for one in tmpenv.service.follow(ticket.id)][-1].environment


async def test_a_launch_whose_visitor_goes_away_leaves_nothing_behind(deploy: Make) -> None:
    backend = HoldsStarts()
    async with deploy(backend, pool=Pool(size=1, spare=0)) as tmpenv:
        launch = asyncio.create_task(tmpenv.service.launch("t", within=WITHIN))
        await backend.asked.wait()

        launch.cancel()
        await asyncio.gather(launch, return_exceptions=True)
        backend.gate.set()

        async def is_empty() -> bool:
            status = await tmpenv.status()
            return not status.waiting and not status.present and not backend.world.residents

        await eventually(is_empty)


async def test_a_launch_gives_up_in_time_and_frees_its_place(deploy: Make) -> None:
    backend = HoldsStarts()
    async with deploy(backend, pool=Pool(size=1, spare=0)) as tmpenv:
        with pytest.raises(LaunchTimedOut):
            await tmpenv.service.launch("t", within=timedelta(milliseconds=50))

        assert (await tmpenv.status()).waiting == 0
        backend.gate.set()


async def test_one_key_gives_one_environment(deploy: Make) -> None:
    async with deploy(MemoryBackend(), pool=Pool(size=4)) as tmpenv:
        ticket = tmpenv.service.ticket("caller", "key")

        handed = await asyncio.gather(
            *(tmpenv.service.launch("t", ticket=ticket, within=WITHIN) for _ in range(5))
        )

        assert len({environment.id for environment in handed}) == 1
        other = await tmpenv.service.launch(
            "t", ticket=tmpenv.service.ticket("another", "key"), within=WITHIN
        )
        assert other.id != handed[0].id


async def test_a_spare_that_died_unnoticed_is_never_handed_out(deploy: Make) -> None:
    backend = MemoryBackend()
    async with deploy(backend, pool=Pool(size=3)) as tmpenv:
        await tmpenv.until_spares(3)
        oldest = backend.world.started[0]
        # Dead, and no event says so.
        backend.world.residents[oldest].end("exit code 137")

        handed = [await tmpenv.service.launch("t", within=WITHIN) for _ in range(2)]

        assert oldest not in {environment.id for environment in handed}
        await tmpenv.until_spares(1)


async def test_a_spare_that_dies_is_replaced(deploy: Make) -> None:
    backend = MemoryBackend()
    async with deploy(backend, pool=Pool(size=2)) as tmpenv:
        await tmpenv.until_spares(2)
        victim = backend.world.started[0]

        backend.kill(victim)

        failed = await tmpenv.until_phase(victim, Phase.FAILED)
        assert "exit code 137" in failed.reason
        await tmpenv.until_spares(2)
        assert victim not in backend.world.residents


async def test_a_session_that_dies_frees_its_place(deploy: Make) -> None:
    backend = MemoryBackend()
    async with deploy(backend, pool=Pool(size=1)) as tmpenv:
        environment = await tmpenv.service.launch("t", within=WITHIN)

        backend.kill(environment.id)

        await tmpenv.until_spares(1)


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (NeverStarts(), "no such executable"),
        (DiesAtOnce(), "exit code 1"),
        (NeverReady(), "not ready within"),
        (ImageMissing(), "manifest unknown"),
        (Unreachable(), "does not answer"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MemoryBackend) else "",
)
async def test_a_template_that_does_not_come_up_is_visible_and_recovers(
    deploy: Make, backend: MemoryBackend, reason: str
) -> None:
    template = Template(name="t", start_timeout=timedelta(seconds=2))
    async with deploy(backend, templates=(template,), pool=Pool(size=2, spare=1)) as tmpenv:

        async def is_in_trouble() -> bool:
            trouble = (await tmpenv.status()).trouble
            return trouble is not None and reason in trouble.reason and trouble.failures >= 2

        await eventually(is_in_trouble)
        with pytest.raises(PoolFailing, match=reason):
            await tmpenv.service.launch("t", within=WITHIN)

        heal(backend)

        await tmpenv.until_spares(1)
        status = await tmpenv.status()
        assert status.trouble is None
        assert status.present == 1


def heal(backend: MemoryBackend) -> None:
    match backend:
        case NeverStarts():
            backend.refuses = False
        case NeverReady():
            backend.status = 200
        case ImageMissing():
            backend.is_missing = False
        case Unreachable():
            backend.is_away = False
        case DiesAtOnce():
            backend.start = super(DiesAtOnce, backend).start  # type: ignore[method-assign]


async def test_a_start_that_broke_off_after_creating_leaves_nothing(deploy: Make) -> None:
    backend = FailsAfterCreate()
    async with deploy(backend, pool=Pool(size=1)) as tmpenv:
        await tmpenv.until_spares(1)

        assert len(backend.world.residents) == 1
        assert backend.world.peak == 1


async def test_a_stop_that_fails_twice_keeps_its_place_until_it_succeeds(deploy: Make) -> None:
    backend = StopFailsTwice()
    async with deploy(backend, pool=Pool(size=1)) as tmpenv:
        environment = await tmpenv.service.launch("t", within=WITHIN)

        assert await tmpenv.service.stop(environment.id)

        async def is_visible() -> bool:
            found = await tmpenv.service.find(environment.id)
            return found is not None and "The device is busy" in found.detail

        await eventually(is_visible)
        await tmpenv.until_phase(environment.id, Phase.STOPPED)
        await tmpenv.until_spares(1)
        assert backend.world.peak == 1
        assert backend.tries[environment.id] == 3


async def test_a_backend_that_is_away_ends_nobodys_session(deploy: Make, instance: str) -> None:
    backend = Unreachable()
    backend.is_away = False
    async with deploy(backend, pool=Pool(size=2)) as tmpenv:
        environment = await tmpenv.service.launch("t", within=WITHIN)

        backend.is_away = True
        tmpenv.core.reconcile.suspect(environment.id)
        backend.world.kill(backend.world.started[1])
        backend.is_away = False
        backend.world.kill(backend.world.started[1])
        await tmpenv.until_spares(1)

        found = await tmpenv.service.find(environment.id)
        assert found is not None
        assert found.phase is Phase.ASSIGNED


async def test_a_pool_that_failed_starts_fill_is_failing_and_not_full(deploy: Make) -> None:
    """What may be left of a failed start keeps its place while nobody can look."""
    backend = Unreachable()
    backend.is_away = False
    async with deploy(backend, pool=Pool(size=2, spare=0)) as tmpenv:
        await tmpenv.service.launch("t", within=WITHIN)
        backend.is_away = True
        waiting = asyncio.create_task(tmpenv.service.launch("t", within=WITHIN))

        async def is_taken() -> bool:
            return (await tmpenv.status()).counts[Phase.FAILED] == 1

        await eventually(is_taken)
        with pytest.raises(PoolFailing, match="does not answer"):
            await tmpenv.service.launch("t", within=WITHIN)

        backend.is_away = False
        assert (await waiting).phase is Phase.ASSIGNED


async def test_a_changed_template_replaces_spares_but_no_session(deploy: Make) -> None:
    backend = MemoryBackend()
    async with deploy(backend, pool=Pool(size=3, spare=2)) as tmpenv:
        await tmpenv.until_spares(2)
        session = await tmpenv.service.launch("t", within=WITHIN)
        await tmpenv.until_spares(2)
        old = {one.id for one in await tmpenv.service.environments()}

    changed = (Template(name="t", env={"NEW": "1"}),)
    async with deploy(backend, templates=changed, pool=Pool(size=3, spare=2)) as tmpenv:

        async def is_replaced() -> bool:
            present = await tmpenv.service.environments()
            spares = {one.id for one in present if one.phase is Phase.READY}
            return len(spares) == 2 and not spares & old

        await eventually(is_replaced)
        kept = await tmpenv.service.find(session.id)
        assert kept is not None
        assert kept.phase is Phase.ASSIGNED


async def test_another_mount_replaces_spares_but_ends_no_session(deploy: Make) -> None:
    backend = MemoryBackend()
    async with deploy(backend, pool=Pool(size=3, spare=1)) as tmpenv:
        session = await tmpenv.service.launch("t", within=WITHIN)
        await tmpenv.until_spares(1)

    async with deploy(backend, pool=Pool(size=3, spare=1), mount="/lab1/") as tmpenv:
        fresh = await tmpenv.service.launch("t", within=WITHIN)
        kept = await tmpenv.until_phase(session.id, Phase.ASSIGNED)

        assert fresh.base_path == f"/lab1/user/{fresh.id}/"
        assert backend.world.residents[fresh.id].variables["TMPENV_BASE_PATH"] == fresh.base_path
        assert kept.base_path == f"/user/{session.id}/"


async def test_a_spare_of_another_mount_is_never_handed_out(deploy: Make) -> None:
    backend = HoldsStarts()
    backend.gate.set()
    async with deploy(backend, pool=Pool(size=9, spare=2)) as tmpenv:
        await tmpenv.until_spares(2)
        spares = await tmpenv.store.environments((Phase.READY,))
        backend.gate.clear()

        # It replaces none itself: the first one has the lease.
        async with deploy(backend, pool=Pool(size=9, spare=2), mount="/lab1/") as other:
            ticket = await other.service.request("t")
        found = [await tmpenv.service.find(spare.id) for spare in spares]
        backend.gate.set()

        assert ticket.environment is None
        assert [one.reason for one in found if one] == ["base_url changed"] * 2


async def test_a_restart_keeps_every_session_and_every_spare(deploy: Make) -> None:
    backend = MemoryBackend()
    async with deploy(backend, pool=Pool(size=4, spare=2)) as tmpenv:
        await tmpenv.until_spares(2)
        session = await tmpenv.service.launch("t", within=WITHIN)
        await tmpenv.until_spares(2)
        before = {one.id for one in await tmpenv.service.environments()}

    async with deploy(backend, pool=Pool(size=4, spare=2)) as tmpenv:
        await tmpenv.until_spares(2)

        assert {one.id for one in await tmpenv.service.environments()} == before
        assert (await tmpenv.service.find(session.id)).phase is Phase.ASSIGNED  # type: ignore[union-attr]
        assert not backend.world.stopped


async def test_draining_a_pool_replaces_its_spares(deploy: Make) -> None:
    async with deploy(MemoryBackend(), pool=Pool(size=3)) as tmpenv:
        await tmpenv.until_spares(3)
        before = {one.id for one in await tmpenv.service.environments()}

        assert await tmpenv.service.drain() == 3

        async def is_new() -> bool:
            present = await tmpenv.service.environments()
            return len(present) == 3 and not before & {one.id for one in present}

        await eventually(is_new)


async def test_an_unknown_template_is_told_apart(deploy: Make) -> None:
    async with deploy(MemoryBackend()) as tmpenv:
        with pytest.raises(UnknownTemplate, match='"nope"'):
            await tmpenv.service.request("nope")
