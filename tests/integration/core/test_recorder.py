"""What happens is told to whoever measures, each thing once."""

from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing, suppress
from datetime import timedelta

import pytest

from culler.disk import DiskWatch
from spawner.backends.memory import MemoryBackend, World
from spawner.backends.memory_faults import (
    HoldsStarts,
    ImageMissing,
    NeverStarts,
    StopFailsTwice,
    Unreachable,
)
from spawner.errors import (
    LaunchTimedOut,
    PoolFailing,
    PoolFull,
    ServiceError,
    StoreUnavailable,
    UnknownTemplate,
)
from spawner.model import Phase, Pool, Template
from spawner.recorder import Finding, Operation, Refusal, Unrecorded, Way, refusals
from tests.deployment import Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually

WITHIN = timedelta(seconds=20)
ONE = Pool(size=1, spare=1)
NONE_WARM = Pool(size=1, spare=0)


class Told(Unrecorded):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.facts: Counter[tuple[str, ...]] = Counter()
        self.longest_s: Counter[str] = Counter()

    def handed_out(self, template: str, way: Way, took_s: float) -> None:
        self._note(way, template, took_s=took_s)

    def refused(self, template: str, why: Refusal) -> None:
        self._note(why, template)

    def became_ready(self, template: str, took_s: float) -> None:
        self._note("ready", template, took_s=took_s)

    def failed_to_start(self, template: str) -> None:
        self._note("failed", template)

    def culled(self, template: str, reason: str) -> None:
        self._note("culled", template, reason)

    def found(self, finding: Finding, number: int = 1) -> None:
        self.facts[finding,] += number

    def backend_did(self, operation: Operation, took_s: float) -> None:
        self._note(operation, took_s=took_s)

    def backend_failed(self, code: str) -> None:
        self._note(code)

    def store_answered(self, took_s: float) -> None:
        self._note("answer", took_s=took_s)

    def store_failed(self) -> None:
        self._note("no answer")

    def of_launches(self) -> dict[tuple[str, ...], int]:
        ends = ("spare", "launched", "full", "limited", "error")
        return {fact: number for fact, number in self.facts.items() if fact[0] in ends}

    async def hears(self, *fact: str) -> None:
        async def is_told() -> int:
            return self.facts[fact]

        await eventually(is_told)

    def _note(self, *fact: str, took_s: float = 0.0) -> None:
        self.facts[fact] += 1
        self.longest_s[fact[0]] = max(self.longest_s[fact[0]], took_s)  # type: ignore[assignment]


class Make:
    """Makes deployments that tell what happens."""

    def __init__(self, server: RedisServer, instance: str) -> None:
        self._server = server
        self._instance = instance
        self.told = Told()
        self.worlds: list[World] = []

    def __call__(self, backend: MemoryBackend, pool: Pool, **options: object) -> Deployment:
        self.worlds.append(backend.world)
        return Deployment(
            self._server.url,
            self._instance,
            backend,
            pool=pool,
            recorder=self.told,
            **options,  # type: ignore[arg-type]
        )


@pytest.fixture
def deploy(redis_server: RedisServer, instance: str) -> Iterator[Make]:
    make = Make(redis_server, instance)
    yield make
    for world in make.worlds:
        world.close()


async def test_a_spare_a_start_for_a_visitor_and_a_full_pool_are_told_apart(deploy: Make) -> None:
    async with deploy(MemoryBackend(), Pool(size=2, spare=1)) as tmpenv:
        await tmpenv.until_spares(1)
        await tmpenv.service.launch("t", within=WITHIN)
        await tmpenv.until_spares(1)
        await tmpenv.service.request("t")
        with pytest.raises(PoolFull):
            await tmpenv.service.launch("t", within=WITHIN)

    assert deploy.told.of_launches() == {("spare", "t"): 2, ("full", "t"): 1}
    assert 0 < deploy.told.longest_s["spare"] < 5
    assert deploy.told.facts["ready", "t"] == 2


async def test_who_waits_is_told_of_once_with_the_whole_wait(deploy: Make) -> None:
    backend = HoldsStarts()
    async with deploy(backend, NONE_WARM) as tmpenv:
        ticket = await tmpenv.service.request("t")
        assert ticket.environment is None
        waited = await tmpenv.store.now()
        await eventually(lambda: has_passed(tmpenv, waited + timedelta(milliseconds=50)))
        backend.gate.set()

        for _ in range(2):  # the waiting page is asked for again
            async with aclosing(tmpenv.service.follow(ticket.id)) as changes:
                async for _current in changes:
                    pass

    assert deploy.told.of_launches() == {("launched", "t"): 1}
    assert deploy.told.longest_s["launched"] >= 0.05


async def has_passed(tmpenv: Deployment, instant: object) -> bool:
    return await tmpenv.store.now() >= instant  # type: ignore[operator]


async def test_a_launch_that_is_asked_for_again_is_told_once(deploy: Make) -> None:
    async with deploy(MemoryBackend(), ONE) as tmpenv:
        await tmpenv.until_spares(1)

        first = await tmpenv.service.launch("t", within=WITHIN, ticket="key")
        second = await tmpenv.service.launch("t", within=WITHIN, ticket="key")

    assert first.id == second.id
    assert deploy.told.of_launches() == {("spare", "t"): 1}


async def test_a_template_that_nobody_configured_is_not_told_of(deploy: Make) -> None:
    async with deploy(MemoryBackend(), ONE) as tmpenv:
        with pytest.raises(UnknownTemplate):
            await tmpenv.service.launch("x" * 50, within=WITHIN)

    assert deploy.told.of_launches() == {}


async def test_starts_that_fail_and_launches_that_fail_with_them_are_told(deploy: Make) -> None:
    async with deploy(NeverStarts(), NONE_WARM) as tmpenv:
        with pytest.raises((PoolFailing, PoolFull)):
            await tmpenv.service.launch("t", within=WITHIN)

    told = deploy.told
    assert told.facts["failed", "t"] >= 1
    assert told.facts["start_failed",] >= 1
    assert sum(told.of_launches().values()) == 1


async def test_a_launch_that_takes_too_long_is_an_error(deploy: Make) -> None:
    async with deploy(HoldsStarts(), NONE_WARM) as tmpenv:
        with pytest.raises(LaunchTimedOut):
            await tmpenv.service.launch("t", within=timedelta(milliseconds=50))

    assert deploy.told.of_launches() == {("error", "t"): 1}


async def test_what_the_backend_does_is_timed(deploy: Make) -> None:
    async with deploy(MemoryBackend(), ONE) as tmpenv:
        await tmpenv.until_spares(1)
        session = await tmpenv.service.launch("t", within=WITHIN)
        await tmpenv.service.stop(session.id)
        await tmpenv.until_phase(session.id, Phase.STOPPED)

    for operation in ("prepare", "start", "stop"):
        assert deploy.told.facts[operation,] >= 1


async def test_an_image_that_cannot_be_had_is_a_failure_of_the_backend(deploy: Make) -> None:
    template = Template(name="t", image="nowhere:1")
    async with deploy(ImageMissing(), ONE, templates=(template,)):
        await deploy.told.hears("image_unavailable")

    assert deploy.told.facts["prepare",] == 0


async def test_ends_that_fail_are_told(deploy: Make) -> None:
    async with deploy(StopFailsTwice(), ONE) as tmpenv:
        await tmpenv.until_spares(1)
        session = await tmpenv.service.launch("t", within=WITHIN)
        await tmpenv.service.stop(session.id)
        await tmpenv.until_phase(session.id, Phase.STOPPED)

    assert deploy.told.facts["stop_failed",] == 2
    assert deploy.told.facts["stop",] == 1


async def test_a_backend_that_does_not_answer_is_told(deploy: Make) -> None:
    async with deploy(Unreachable(), ONE):
        await deploy.told.hears("backend_unavailable")


async def test_an_environment_that_died_is_told_as_missing(deploy: Make) -> None:
    backend = MemoryBackend()
    async with deploy(backend, ONE) as tmpenv:
        await tmpenv.until_spares(1)
        session = await tmpenv.service.launch("t", within=WITHIN)

        backend.kill(session.id, "exit code 137")
        await deploy.told.hears("missing")

    assert deploy.told.facts["missing",] == 1
    assert deploy.told.facts["stray",] == deploy.told.facts["orphan",] == 0


async def test_environments_that_the_store_forgot_are_told_as_strays(
    own_redis: RedisServer, instance: str
) -> None:
    make = Make(own_redis, instance)
    backend = MemoryBackend()
    async with make(backend, Pool(size=2)) as tmpenv:
        await tmpenv.until_spares(2)
    own_redis.empty()

    async with make(MemoryBackend(world=backend.world), Pool(size=2)):
        await make.told.hears("stray")

    assert make.told.facts["stray",] == 2
    backend.world.close()


async def test_a_start_that_a_crash_cut_short_is_told_as_an_orphan(deploy: Make) -> None:
    backend = HoldsStarts()
    async with deploy(backend, ONE) as tmpenv:

        async def is_begun() -> int:
            return (await tmpenv.status()).counts[Phase.CREATING]

        await eventually(is_begun)

    async with deploy(MemoryBackend(world=backend.world), ONE):
        await deploy.told.hears("orphan")

    assert deploy.told.facts["orphan",] == 1


async def test_who_is_ended_for_what_is_on_its_disk_is_told_as_culled(deploy: Make) -> None:
    backend = MemoryBackend()
    async with deploy(backend, ONE, templates=(Template(name="t", disk=10 << 20),)) as tmpenv:
        await tmpenv.until_spares(1)
        session = await tmpenv.service.launch("t", within=WITHIN)
        backend.world.residents[session.id].written = 11 << 20
        disk = DiskWatch(
            store=tmpenv.store,
            backend=backend,
            templates=tmpenv.service.templates,
            interval=timedelta(seconds=1),
            recorder=deploy.told,
        )

        await disk.look(session.fence)
        await disk.look(session.fence)

    assert deploy.told.facts["culled", "t", "disk"] == 1


async def test_answers_of_the_store_are_timed_and_its_silence_is_told(
    own_redis: RedisServer, instance: str
) -> None:
    make = Make(own_redis, instance)
    async with make(MemoryBackend(), ONE) as tmpenv:
        await tmpenv.until_spares(1)
        assert make.told.facts["answer",] > 0
        assert make.told.longest_s["answer"] > 0
        assert make.told.facts["no answer",] == 0

        own_redis.stop()
        with pytest.raises(StoreUnavailable):
            await tmpenv.service.launch("t", within=WITHIN)

        assert make.told.facts["no answer",] > 0
        assert make.told.of_launches() == {("error", "t"): 1}
        own_redis.start()
    make.worlds[0].close()


async def test_a_limit_that_is_met_turns_a_visitor_away(deploy: Make) -> None:
    """Limits are kept elsewhere; what matters here is the code of their errors."""

    class Limited(ServiceError):
        code = "limited"

    class Banned(ServiceError):
        code = "banned"

    for kind in (Limited, Banned):
        with suppress(ServiceError), refusals(deploy.told, "t"):
            raise kind

    assert deploy.told.of_launches() == {("limited", "t"): 2}
