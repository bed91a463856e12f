"""What tmpenv depends on goes away, comes back, and comes back empty."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.components import TINY, require
from tests.own_docker import OwnDocker
from tests.redis_server import RedisServer
from tests.serving import PERL, TINY_SERVER, Serving
from tests.waiting import eventually

#: An end comes soon, so that one which an outage caused would be seen.
COMMON = """
on_exit = "stop"
[culling]
interval = "200ms"
[proxy]
drain_timeout_s = 0.5
[templates.t]
image = "{image}"
stop_grace = "0s"
{command}
[pools.t]
size = 6
spare = 2
"""
ON_REDIS = 'backend = "process"\nredis_url = "{redis}"\n' + COMMON
ON_DOCKER = (
    'backend = "docker"\nlaunch_timeout = "3s"\n'
    + COMMON
    + '[docker]\nurl = "{docker}"\nreach = "address"\ntimeout_s = 2\n'
)


class Visits:
    """Asks every session again and again."""

    def __init__(self, server: Serving, sessions: list[str]) -> None:
        self._server = server
        self._sessions = sessions

    async def go_on(self, rounds: int = 10) -> None:
        """See every session answer so many more times."""
        for _ in range(rounds):
            statuses = await asyncio.gather(*map(self._server.visit, self._sessions))
            assert set(statuses) == {200}, statuses

    @asynccontextmanager
    async def without_a_gap(self) -> AsyncIterator[None]:
        """See them answer throughout."""

        async def visit() -> None:
            while True:
                await self.go_on(1)
                await asyncio.sleep(0.05)

        visiting = asyncio.create_task(visit())
        try:
            yield
        finally:
            visiting.cancel()
            await asyncio.gather(visiting, return_exceptions=True)
        if not visiting.cancelled():
            visiting.result()


async def sessions_of(server: Serving, number: int) -> list[str]:
    """Launch so many."""
    answers = [await server.spawn("t") for _ in range(number)]
    assert {status for status, _ in answers} == {200}
    return [body["id"] for _, body in answers]


async def ready(server: Serving) -> tuple[int, Any]:
    async with server.session.get(f"{server.url}/readyz") as response:
        return response.status, await response.json()


async def until_ready(server: Serving, wanted: int) -> Any:
    async def is_so() -> Any:
        status, body = await ready(server)
        return body if status == wanted else None

    return await eventually(is_so, within=40)


async def phases(server: Serving) -> dict[str, str]:
    return {one["id"]: one["phase"] for one in (await server.status())["environments"]}


async def refused_launch(server: Serving) -> aiohttp.ClientResponse:
    async with server.session.post(f"{server.url}/api/spawn") as response:
        await response.read()
        return response


# ---- Redis


@pytest.fixture
async def on_redis(directory: Path, own_redis: RedisServer) -> AsyncIterator[Serving]:
    require("perl")
    command = f'command = ["{PERL}", "{TINY_SERVER}"]'
    config = ON_REDIS.format(redis=own_redis.url, image="", command=command)
    async with Serving(directory, config) as server:
        await server.until_spares(2, "t")
        yield server


async def test_while_redis_is_away_sessions_answer_and_launches_say_when_to_come_back(
    on_redis: Serving, own_redis: RedisServer
) -> None:
    sessions = await sessions_of(on_redis, 3)
    visits = Visits(on_redis, sessions)
    await visits.go_on(1)
    await on_redis.until_spares(2, "t")
    before = await phases(on_redis)

    async with visits.without_a_gap():
        own_redis.stop()
        refusal = await refused_launch(on_redis)
        named = await until_ready(on_redis, 503)
        await visits.go_on(20)
        own_redis.start()
        await until_ready(on_redis, 200)

    assert refusal.status == 503
    assert int(refusal.headers["Retry-After"]) >= 1
    assert "store" in named["store"]
    assert named["backend"] == "ok"
    assert await phases(on_redis) == before
    (again,) = await sessions_of(on_redis, 1)
    assert await on_redis.visit(again) == 200
    await on_redis.until_spares(2, "t")


async def test_while_redis_is_away_nobody_is_culled_for_what_could_not_be_written(
    directory: Path, own_redis: RedisServer
) -> None:
    """Whoever works through an outage longer than the idle timeout is not idle after it."""
    require("perl")
    command = f'idle_timeout = "2s"\ncommand = ["{PERL}", "{TINY_SERVER}"]'
    config = ON_REDIS.format(redis=own_redis.url, image="", command=command)
    async with Serving(directory, config) as server:
        await server.until_spares(2, "t")
        sessions = await sessions_of(server, 2)
        visits = Visits(server, sessions)

        async with visits.without_a_gap():
            own_redis.stop()
            loop = asyncio.get_running_loop()
            over = loop.time() + 4
            while loop.time() < over:
                await visits.go_on(1)
            own_redis.start()
            await until_ready(server, 200)
            await visits.go_on(20)

        assert set(sessions) <= set(await phases(server))


async def test_when_redis_is_emptied_every_session_answers_and_the_pool_fills_again(
    on_redis: Serving, own_redis: RedisServer
) -> None:
    sessions = await sessions_of(on_redis, 2)
    visits = Visits(on_redis, sessions)
    await on_redis.until_spares(2, "t")

    async with visits.without_a_gap():
        own_redis.empty()
        await on_redis.until_spares(2, "t")
        await eventually(lambda: counts_add_up(on_redis))
        await visits.go_on()

    found = await phases(on_redis)
    assert {found[one] for one in sessions} == {"assigned"}


async def counts_add_up(server: Serving) -> bool:
    """Say whether records, counts and what runs are the same."""
    status = await server.status()
    (pool,) = status["pools"]
    running = {path.name for path in (server.directory / "environments").iterdir() if path.is_dir()}
    recorded = {one["id"] for one in status["environments"]}
    return sum(pool["phases"].values()) == len(recorded) and recorded == running


# ---- Docker


@pytest.fixture(scope="module")
def daemon() -> Iterator[OwnDocker]:
    require("docker", "tiny-image", "root")
    with tempfile.TemporaryDirectory(prefix="td-", ignore_cleanup_errors=True) as directory:
        daemon = OwnDocker(Path(directory))
        daemon.start()
        daemon.load(TINY)
        yield daemon
        daemon.clear()


@pytest.fixture
async def on_docker(directory: Path, daemon: OwnDocker, instance: str) -> AsyncIterator[Serving]:
    config = ON_DOCKER.format(docker=daemon.url, image=TINY, command='memory = "32M"')
    async with Serving(directory, config, instance=instance) as server:
        await server.until_spares(2, "t")
        yield server


@pytest.mark.parametrize(
    ("away", "back"), [("stop", "start"), ("kill", "start"), ("pause", "go_on")]
)
async def test_while_docker_is_away_sessions_answer_and_nothing_is_concluded(
    on_docker: Serving, daemon: OwnDocker, away: str, back: str
) -> None:
    sessions = await sessions_of(on_docker, 2)
    visits = Visits(on_docker, sessions)
    await on_docker.until_spares(2, "t")
    before = await phases(on_docker)

    async with visits.without_a_gap():
        await asyncio.to_thread(getattr(daemon, away))
        try:
            named = await until_ready(on_docker, 503)
            # The spares are still handed out; after them a launch waits, and then says why not.
            more = await sessions_of(on_docker, 2)
            refusal = await refused_launch(on_docker)
            kept = await phases(on_docker)
        finally:
            await asyncio.to_thread(getattr(daemon, back))
        await until_ready(on_docker, 200)
        await on_docker.until_spares(2, "t", within=40)

    assert "Docker" in named["backend"]
    assert named["store"] == "ok"
    assert refusal.status == 503
    assert int(refusal.headers["Retry-After"]) >= 1
    assert set(before) <= set(kept)
    await Visits(on_docker, [*sessions, *more]).go_on(3)
    found = await phases(on_docker)
    assert {found[one] for one in (*sessions, *more)} == {"assigned"}


async def test_what_ends_with_its_daemon_is_gone_and_the_pool_recovers(
    on_docker: Serving, daemon: OwnDocker
) -> None:
    await asyncio.to_thread(daemon.stop)
    await asyncio.to_thread(daemon.start, live_restore=False)
    await until_ready(on_docker, 200)
    sessions = await sessions_of(on_docker, 2)
    await on_docker.until_spares(2, "t")

    await asyncio.to_thread(daemon.stop)
    # A daemon that ends says of some that they have ended, and of others nothing any more.
    assert {await on_docker.visit(one) for one in sessions} <= {410, 502, 503, 504}
    await asyncio.to_thread(daemon.start)

    for session in sessions:

        async def is_gone(one: str = session) -> bool:
            return await on_docker.visit(one) == 410

        await eventually(is_gone, within=40)
    await on_docker.until_spares(2, "t", within=40)
    (again,) = await sessions_of(on_docker, 1)
    assert await on_docker.visit(again) == 200
