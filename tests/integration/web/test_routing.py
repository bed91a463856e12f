"""The table of routes and the activity of the edge, against the real store."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import timedelta

import pytest

from proxy.activity import ActivityLog
from proxy.routes import RoutesUnavailable, RouteTable, Standing
from spawner.backends.memory import MemoryBackend
from spawner.identity import Tokens
from spawner.model import Auth, Environment, Phase, Pool, Template
from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.records import Event
from spawner.store.store import Store, Touch
from tests.deployment import SECRET, Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually
from web.activity import INTERVAL_S, ActivityWriter
from web.routing import Routing

WITHIN = timedelta(seconds=20)


class Router:
    """A routing of one deployment, and whom it suspected."""

    def __init__(self, tmpenv: Deployment) -> None:
        self.table = RouteTable()
        self.suspects: list[str] = []
        self.routing = Routing(self.table, tmpenv.store, Tokens(SECRET), self.suspects.append)
        tmpenv.core.feed.listen(self.routing.hear)

    async def until(self, environment_id: str, standing: Standing) -> None:
        async def stands() -> bool:
            route = self.table.get(environment_id)
            return route is not None and route.standing is standing

        await eventually(stands)


@pytest.fixture
async def tmpenv(own_redis: RedisServer) -> AsyncIterator[Deployment]:
    backend = MemoryBackend()
    templates = (
        Template(name="t"),
        Template(name="url", auth=Auth.URL),
        Template(name="cookie", auth=Auth.COOKIE),
    )
    async with Deployment(
        own_redis.url, "i", backend, templates=templates, pool=Pool(size=3, spare=1)
    ) as tmpenv:
        yield tmpenv
    backend.world.close()


@pytest.fixture
async def router(tmpenv: Deployment) -> AsyncIterator[Router]:
    router = Router(tmpenv)
    running = asyncio.create_task(router.routing.run())
    yield router
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_hand_out_is_a_route_and_its_end_closes_it(
    tmpenv: Deployment, router: Router
) -> None:
    environment = await tmpenv.service.launch("t", within=WITHIN)
    await router.until(environment.id, Standing.LIVE)
    route = router.table.get(environment.id)
    assert route is not None
    assert route.authorization == f"token {tmpenv.service.token(environment.id)}".encode()

    await tmpenv.service.stop(environment.id)

    await router.until(environment.id, Standing.GONE)


async def test_an_environment_that_shows_its_token_itself_gets_none_from_the_edge(
    tmpenv: Deployment, router: Router
) -> None:
    environment = await tmpenv.service.launch("url", within=WITHIN)

    route = await router.routing.look_up(environment.id)

    assert route.standing is Standing.LIVE
    assert route.authorization == b""


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.STOPPED])
async def test_an_end_overtakes_the_answer_of_a_question_from_before_it(
    tmpenv: Deployment, router: Router, phase: Phase
) -> None:
    environment = await tmpenv.service.launch("t", within=WITHIN)
    await router.until(environment.id, Standing.LIVE)
    router.table.forget(environment.id)
    late = await router.routing.look_up(environment.id)

    end = Event(environment.id, "t", phase, environment.version + 1)
    router.routing.hear(end)
    router.table.put(late)

    route = router.table.get(environment.id)
    assert route is not None
    assert route.standing is (Standing.DRAINING if phase is Phase.DRAINING else Standing.GONE)


async def test_an_environment_that_is_its_visitors_alone_is_guarded_by_every_replica(
    tmpenv: Deployment, router: Router
) -> None:
    environment = await tmpenv.service.launch("cookie", within=WITHIN)
    await router.until(environment.id, Standing.LIVE)
    replica = Router(tmpenv)

    heard, asked = router.table.get(environment.id), await replica.routing.look_up(environment.id)

    assert heard == asked
    assert asked.session == tmpenv.service.session(environment.id).encode()
    assert asked.authorization == f"token {tmpenv.service.token(environment.id)}".encode()


async def test_the_address_of_another_is_enough(tmpenv: Deployment, router: Router) -> None:
    environment = await tmpenv.service.launch("t", within=WITHIN)

    assert (await router.routing.look_up(environment.id)).session == b""


async def test_a_spare_is_nobodys_to_visit(tmpenv: Deployment, router: Router) -> None:
    await tmpenv.until_spares(1)
    spares = await tmpenv.store.environments((Phase.READY,))

    standings = {(await router.routing.look_up(spare.id)).standing for spare in spares}

    assert standings == {Standing.STARTING}


async def test_an_environment_of_another_mount_is_nobodys_to_visit(tmpenv: Deployment) -> None:
    environment = await tmpenv.service.launch("t", within=WITHIN)
    moved = Routing(RouteTable(), tmpenv.store, Tokens(SECRET), lambda _: None, mount="/lab1/")

    assert (await moved.look_up(environment.id)).standing is Standing.GONE


async def test_who_never_was_is_gone_only_for_a_store_that_knows_all(
    tmpenv: Deployment, router: Router, own_redis: RedisServer
) -> None:
    await eventually(tmpenv.store.is_complete)
    assert (await router.routing.look_up("nobody")).standing is Standing.GONE
    other = Routing(
        RouteTable(),
        Store(connection := Connection(own_redis.url, Keys("emptied"))),
        Tokens(SECRET),
        print,
    )

    with pytest.raises(RoutesUnavailable):
        await other.look_up("nobody")
    await connection.close()


async def test_a_route_stays_while_the_store_is_away_and_when_it_comes_back_empty(
    tmpenv: Deployment, router: Router, own_redis: RedisServer
) -> None:
    environment = await tmpenv.service.launch("t", within=WITHIN)
    await router.until(environment.id, Standing.LIVE)
    fell: list[Standing] = []
    router.table.observe(lambda route: fell.append(route.standing))

    own_redis.stop()
    with pytest.raises(RoutesUnavailable):
        await router.routing.look_up(environment.id)
    own_redis.start()
    own_redis.empty()

    async def is_recovered() -> Environment | None:
        return await tmpenv.service.find(environment.id)

    await eventually(is_recovered)
    # The recovered record is newer than all that was known, so that its end is heard.
    await tmpenv.service.stop(environment.id)
    await router.until(environment.id, Standing.GONE)
    assert fell[0] is Standing.LIVE
    assert Standing.GONE not in fell[:-1]


async def test_a_refused_connection_is_a_hint_for_the_reconciler(
    tmpenv: Deployment, router: Router
) -> None:
    environment = await tmpenv.service.launch("t", within=WITHIN)
    await router.until(environment.id, Standing.LIVE)

    router.routing.refused(environment.id)

    assert router.suspects == [environment.id]


async def test_activity_reaches_the_store_and_ends_with_its_environment(
    tmpenv: Deployment, router: Router
) -> None:
    activity = ActivityLog()
    writer = ActivityWriter(activity, tmpenv.store)
    router.table.observe(writer.observe)
    running = asyncio.create_task(writer.run())
    environment = await tmpenv.service.launch("t", within=WITHIN)
    before = environment.activity["ws_in"]
    await router.until(environment.id, Standing.LIVE)

    activity.of(environment.id).frames_in(writer.now(), 10, has_data=True)

    async def is_written() -> bool:
        found = await tmpenv.service.find(environment.id)
        return found is not None and found.activity["ws_in"] > before

    await eventually(is_written)
    await tmpenv.service.stop(environment.id)
    await router.until(environment.id, Standing.GONE)
    assert len(activity) == 0
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_activity_is_kept_while_the_store_is_away(
    tmpenv: Deployment, own_redis: RedisServer
) -> None:
    activity = ActivityLog()
    writer = ActivityWriter(activity, tmpenv.store)
    environment = await tmpenv.service.launch("t", within=WITHIN)
    before = environment.activity["http"]

    own_redis.stop()
    activity.of(environment.id).begin_request(writer.now(), counts=True)
    await writer.flush()
    own_redis.start()
    await writer.flush()

    found = await tmpenv.service.find(environment.id)
    assert found is not None
    assert found.activity["http"] > before


class Counting(Store):
    """Remembers which environments were written in each step."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self.steps: list[set[str]] = []

    async def touch(self, touches: Iterable[Touch]) -> None:
        noted = list(touches)
        self.steps.append({touch.environment_id for touch in noted})
        await super().touch(noted)


async def test_a_first_use_is_written_at_once_whatever_goes_on_in_others(
    tmpenv: Deployment,
) -> None:
    activity = ActivityLog()
    store = Counting(tmpenv.connection)
    writer = ActivityWriter(activity, store)
    running = asyncio.create_task(writer.run())
    long_idle = await tmpenv.service.launch("t", within=WITHIN)
    before = await tmpenv.store.find(long_idle.id)
    assert before is not None
    activity.of("busy").begin_request(writer.now(), counts=True)

    async def is_written() -> bool:
        return bool(store.steps)

    await eventually(is_written)
    used = writer.now()
    activity.of(long_idle.id).begin_request(used, counts=True)

    async def ends_no_more() -> bool:
        found = await tmpenv.store.find(long_idle.id)
        return found is not None and found.activity["http"] > before.activity["http"]

    await eventually(ends_no_more, every=0.01)
    assert writer.now() - used < INTERVAL_S / 2
    # A cull that was decided elsewhere on what was known before comes too late.
    assert not await tmpenv.store.finish(
        long_idle.id,
        Phase.DRAINING,
        "idle",
        unused_since=before.activity["http"],
        counts=("http", "ws_in"),
    )
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_7_12_activity_is_written_once_a_second_for_all_in_one_step(
    tmpenv: Deployment,
) -> None:
    activity = ActivityLog()
    store = Counting(tmpenv.connection)
    writer = ActivityWriter(activity, store)
    running = asyncio.create_task(writer.run())

    async def is_written_twice() -> bool:
        for environment_id in ("a", "b", "c"):
            activity.of(environment_id).download(writer.now(), 10)
        return len(store.steps) == 2

    begun = writer.now()
    await eventually(is_written_twice)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert store.steps == [{"a", "b", "c"}] * 2
    assert writer.now() - begun >= 1
