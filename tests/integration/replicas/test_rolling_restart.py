"""Replicas behind a balancer are restarted in turn, and no visitor's request fails."""

import asyncio
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.components import require
from tests.integration.replicas.balancer import Balancer
from tests.integration.replicas.conftest import Replica
from tests.integration.replicas.crowd import RESTART, Crowd
from tests.waiting import eventually


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_request_fails_while_each_replica_is_restarted_twice(
    replica: Replica, tmp_path: Path, workers: int
) -> None:
    require("haproxy")
    lines = (f"proxy_workers = {workers}",)
    first, second = await replica("first", *lines), await replica("second", *lines)
    await first.until_spares(1, "talk")
    _, launched = await first.spawn("talk")
    async with Balancer(tmp_path, (first.port, second.port)) as balancer:
        await until_up(balancer, 2)
        crowd = Crowd(f"http://127.0.0.1:{balancer.port}", launched["url"])
        async with crowd.inside():
            for leaver in (first, second) * 2:
                await crowd.some_more()
                assert await leaver.stop() == 0, leaver.log.read_text()
                await crowd.some_more()
                await leaver.start()
                await until_up(balancer, 2)
        hidden = await balancer.hidden()

    assert crowd.failures == []
    assert not any(hidden.values()), hidden
    assert min(crowd.counts.values()) > 0, crowd.counts
    assert set(crowd.closed) == {RESTART}


async def test_it_says_that_it_leaves_and_serves_on_until_the_balancer_knows(
    replica: Replica,
) -> None:
    leaver = await replica("leaver", 'drain_delay = "2s"')
    await leaver.until_spares(1, "talk")
    ending = asyncio.create_task(leaver.stop())
    started = time.monotonic()

    async def says_so() -> bool:
        async with leaver.session.get(f"{leaver.url}/readyz") as response:
            body = await response.json()
            return response.status == 503 and body == {"status": "draining"}

    await eventually(says_so)
    status, launched = await leaver.spawn("talk")

    assert (status, await leaver.visit(launched["id"])) == (200, 200)
    assert await ending == 0
    assert time.monotonic() - started > 2


async def test_an_interrupt_waits_for_nobody(replica: Replica) -> None:
    leaver = await replica("leaver", 'drain_delay = "60s"')

    psutil.Process(leaver.pid).send_signal(signal.SIGINT)

    async with asyncio.timeout(30):
        assert await leaver.ended() == 0


async def test_a_second_signal_cuts_the_waiting_off(replica: Replica) -> None:
    leaver = await replica("leaver", 'drain_delay = "60s"')
    process = psutil.Process(leaver.pid)
    process.terminate()

    async def is_draining() -> bool:
        return "Draining" in leaver.log.read_text()

    await eventually(is_draining)
    process.terminate()

    async with asyncio.timeout(30):
        assert await leaver.ended() == 0


async def until_up(balancer: Balancer, number: int) -> None:
    async def are_up() -> bool:
        return await balancer.are_up(number)

    await eventually(are_up, within=30, every=0.1)
