"""Whichever replica is killed, sessions and loops go on in the other."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis.asyncio import Redis

from tests.integration.replicas.conftest import Pair
from tests.redis_server import RedisServer
from tests.serving import Serving
from tests.waiting import eventually

#: The lease lapses after 10 s and is asked for each second.
MOVED_WITHIN_S = 15.0


async def holder(redis: RedisServer, instance: str) -> int:
    """Name the process that holds the lease; 0 for nobody."""
    async with Redis.from_url(redis.url, decode_responses=True) as client:
        held = await client.hget(f"tmpenv:{{{instance}}}:lease:keeper", "holder")
    return int(held.split("|")[2]) if held else 0


@pytest.mark.parametrize("is_keeper", [True, False])
async def test_sessions_refills_and_culls_go_on_when_one_is_killed(
    pair: Pair, redis_server: RedisServer, instance: str, is_keeper: bool
) -> None:
    keeper = await holder(redis_server, instance)
    victim, other = pair.first, pair.second
    if (victim.pid == keeper) is not is_keeper:
        victim, other = other, victim
    _, kept = await victim.spawn("talk")
    assert await victim.visit(kept["id"]) == 200
    _, brief = await victim.spawn("brief")

    victim.kill()

    started = time.monotonic()
    assert await other.visit(kept["id"]) == 200
    await go_on(other, brief["id"])
    assert time.monotonic() - started < MOVED_WITHIN_S
    assert await holder(redis_server, instance) == other.pid
    assert await other.visit(kept["id"]) == 200


async def test_a_holder_that_sleeps_loses_the_lease_and_writes_nothing_when_it_wakes(
    pair: Pair, redis_server: RedisServer, instance: str
) -> None:
    # It lives, so nobody can call it dead, as with one on another machine.
    keeper = await holder(redis_server, instance)
    sleeper, other = pair.first, pair.second
    if sleeper.pid != keeper:
        sleeper, other = other, sleeper
    _, kept = await sleeper.spawn("talk")
    with stopped(sleeper.pid):
        started = time.monotonic()

        async def has_moved() -> bool:
            return await holder(redis_server, instance) == other.pid

        await eventually(has_moved)
        assert time.monotonic() - started < MOVED_WITHIN_S
        assert await other.visit(kept["id"]) == 200

    async def has_noticed() -> bool:
        return "Lost the lease" in sleeper.log.read_text()

    await eventually(has_noticed)
    assert await holder(redis_server, instance) == other.pid
    assert await sleeper.visit(kept["id"]) == 200
    await other.until_spares(2, "talk", within=15)
    _, brief = await sleeper.spawn("brief")
    await go_on(sleeper, brief["id"])


async def test_a_ticket_is_followed_at_any_replica_also_when_its_own_is_killed(
    pair: Pair, redis_server: RedisServer, instance: str
) -> None:
    keeper = await holder(redis_server, instance)
    victim, other = pair.first, pair.second
    if victim.pid == keeper:
        victim, other = other, victim
    page = {"Accept": "text/html"}
    async with victim.session.get(
        f"{victim.url}/launch/brief", headers=page, allow_redirects=False
    ) as launch:
        waits_at = launch.headers["Location"]
    assert waits_at.startswith("/wait/")

    victim.kill()

    async def is_led_in() -> str:
        async with other.session.get(
            f"{other.url}{waits_at}", headers=page, allow_redirects=False
        ) as answer:
            assert answer.status in {200, 302}
            return answer.headers.get("Location", "")

    location = await eventually(is_led_in)
    assert await other.visit(location.split("/")[2]) == 200


async def go_on(serving: Serving, unused: str) -> None:
    """See spares come back, and an unused environment go."""
    await serving.until_spares(2, "talk", within=MOVED_WITHIN_S)

    async def is_culled() -> bool:
        async with serving.session.get(f"{serving.url}/api/environments/{unused}") as answer:
            shown = await answer.json()
        return shown["phase"] in {"draining", "stopped"} and shown["reason"] == "idle"

    await eventually(is_culled)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
