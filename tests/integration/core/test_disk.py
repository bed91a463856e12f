"""Who has too much on disk is ended, and nobody else, with the real store and loops."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from culler.disk import DiskWatch
from spawner.backends.memory import MemoryBackend
from spawner.errors import BackendUnavailable
from spawner.model import Environment, Phase, Pool, Template
from spawner.store.store import Store
from spawner.units import NEVER
from tests.deployment import Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually

WITHIN = timedelta(seconds=20)
LIMIT = 10 << 20


class Immeasurable(MemoryBackend):
    """Cannot measure the environments in ``hidden``, nor hand out meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: set[str] = set()
        self.measured: list[str] = []

    async def disk_usage(self, environment_id: str) -> int | None:
        self.measured.append(environment_id)
        if environment_id in self.hidden:
            raise BackendUnavailable("It has too many files.")
        return await super().disk_usage(environment_id)


@pytest.fixture
async def backend() -> AsyncIterator[Immeasurable]:
    backend = Immeasurable()
    yield backend
    backend.world.close()


@pytest.fixture
async def tmpenv(
    redis_server: RedisServer, instance: str, backend: Immeasurable
) -> AsyncIterator[Deployment]:
    templates = (Template(name="t", disk=LIMIT),)
    pool = Pool(size=4, spare=1)
    async with Deployment(
        redis_server.url, instance, backend, templates=templates, pool=pool
    ) as deployment:
        await deployment.until_spares(1)
        yield deployment


def watch(tmpenv: Deployment, *, interval: timedelta = timedelta(milliseconds=20)) -> DiskWatch:
    return DiskWatch(
        store=tmpenv.store,
        backend=tmpenv.backend,
        templates=tmpenv.service.templates,
        interval=interval,
    )


async def launch(tmpenv: Deployment) -> Environment:
    return await tmpenv.service.launch("t", within=WITHIN)


async def fence_of(tmpenv: Deployment) -> int:
    """Give the fence of the lease that the deployment holds."""
    (environment, *_) = await tmpenv.store.environments()
    return environment.fence


async def test_who_exceeds_its_limit_is_ended_and_told_and_the_others_go_on(
    tmpenv: Deployment, backend: Immeasurable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    greedy, frugal = await launch(tmpenv), await launch(tmpenv)
    backend.world.residents[greedy.id].written = 3 * LIMIT
    backend.world.residents[frugal.id].written = LIMIT

    await watch(tmpenv).look(await fence_of(tmpenv))

    ended = await tmpenv.until_phase(greedy.id, Phase.STOPPED)
    assert ended.reason == "disk"
    assert ended.detail == "used 30M of disk, and its limit is 10M"
    kept = await tmpenv.service.find(frugal.id)
    assert kept is not None
    assert kept.phase is Phase.ASSIGNED
    (told,) = [one for one in caplog.records if one.message == "Environment culled"]
    assert (told.environment, told.reason) == (greedy.id, "disk")  # type: ignore[attr-defined]


async def test_a_spare_that_exceeds_it_is_replaced(
    tmpenv: Deployment, backend: Immeasurable
) -> None:
    (spare,) = list(backend.world.residents)
    backend.world.residents[spare].written = LIMIT + 1

    await watch(tmpenv).look(await fence_of(tmpenv))

    await tmpenv.until_phase(spare, Phase.STOPPED)
    await tmpenv.until_spares(1)
    assert spare not in backend.world.residents


async def test_who_cannot_be_measured_is_left_alone_and_holds_up_nobody(
    tmpenv: Deployment, backend: Immeasurable, caplog: pytest.LogCaptureFixture
) -> None:
    hidden, greedy = await launch(tmpenv), await launch(tmpenv)
    for one in (hidden, greedy):
        backend.world.residents[one.id].written = 3 * LIMIT
    backend.hidden = {hidden.id}

    await watch(tmpenv).look(await fence_of(tmpenv))

    await tmpenv.until_phase(greedy.id, Phase.STOPPED)
    kept = await tmpenv.service.find(hidden.id)
    assert kept is not None
    assert kept.phase is Phase.ASSIGNED
    (told,) = [one for one in caplog.records if getattr(one, "event", "") == "disk.unknown"]
    assert told.environment == hidden.id  # type: ignore[attr-defined]


async def test_one_whose_template_is_gone_has_no_limit(
    tmpenv: Deployment, backend: Immeasurable
) -> None:
    environment = await launch(tmpenv)
    backend.world.residents[environment.id].written = 3 * LIMIT
    without = DiskWatch(
        store=tmpenv.store, backend=backend, templates={}, interval=timedelta(seconds=1)
    )

    await without.look(await fence_of(tmpenv))

    assert backend.measured == []
    kept = await tmpenv.service.find(environment.id)
    assert kept is not None
    assert kept.phase is Phase.ASSIGNED


async def test_it_looks_again_and_again_under_the_lease(
    redis_server: RedisServer, instance: str, store: Store, backend: Immeasurable
) -> None:
    template = Template(name="t", disk=LIMIT)
    disk = DiskWatch(
        store=store,
        backend=backend,
        templates={"t": template},
        interval=timedelta(milliseconds=20),
    )
    async with Deployment(
        redis_server.url, instance, backend, templates=(template,), duties=(disk.run,)
    ) as tmpenv:
        environment = await launch(tmpenv)

        async def is_measured_twice() -> bool:
            return backend.measured.count(environment.id) >= 2

        await eventually(is_measured_twice)
        backend.world.residents[environment.id].written = 3 * LIMIT

        assert (await tmpenv.until_phase(environment.id, Phase.STOPPED)).reason == "disk"


async def test_never_is_an_interval_too(tmpenv: Deployment) -> None:
    running = asyncio.create_task(watch(tmpenv, interval=NEVER).run(await fence_of(tmpenv)))

    done, _ = await asyncio.wait([running], timeout=0.2)

    running.cancel()
    assert not done
