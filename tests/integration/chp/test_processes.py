"""``tmpenv proxy`` as several processes: what each does is what all do."""

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.integration.chp.rig import Rig, proxying, url_of
from tests.integration.proxy.kit import Wire, get, status
from tests.serving import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("ours")

FLAGS = ("--proxy-workers", "3")


async def spread(rig: Rig, number: int = 48) -> list[Wire]:
    """Connect so often that every process has some."""
    return [await rig.visit() for _ in range(number)]


async def codes(visitors: list[Wire], path: str) -> set[int]:
    for visitor in visitors:
        await visitor.send(get(path))
    return {status((await visitor.response())[0]) for visitor in visitors}


async def test_whoever_put_a_route_meets_it_at_every_process(tmp_path: Path) -> None:
    async with proxying(tmp_path, *FLAGS) as rig:
        target = url_of(await rig.server())
        visitors = await spread(rig)

        for _ in range(10):
            await rig.put("/x", target)
            assert await codes(visitors, "/x/") == {200}
            await rig.call("DELETE", "/x")
            assert await codes(visitors, "/x/") == {404}


async def test_routes_and_counts_outlive_a_process(tmp_path: Path) -> None:
    port = free_port()
    metrics = ("--metrics-ip", "127.0.0.1", "--metrics-port", str(port))
    async with proxying(tmp_path, *FLAGS, *metrics) as rig:
        await rig.put("/x", url_of(await rig.server()))
        assert await codes(await spread(rig), "/x/") == {200}
        await eventually(lambda: counted(rig, port, "requests_web 48.0"))

        children = psutil.Process(rig.started.process.pid).children()
        victim = next(one for one in children if "web.worker" in one.cmdline())
        os.kill(victim.pid, signal.SIGKILL)

        assert await codes(await spread(rig), "/x/") == {200}
        await eventually(lambda: counted(rig, port, "requests_web 96.0"))
        assert await counted(rig, port, "tmpenv_proxy_workers_replaced_total 1.0")


async def test_activity_at_any_process_is_told_at_once(tmp_path: Path) -> None:
    async with proxying(tmp_path, *FLAGS) as rig:
        await rig.put("/x", url_of(await rig.server()))
        for visitor in await spread(rig, 12):
            before = (await rig.routes())["/x"]["last_activity"]
            await asyncio.sleep(0.002)  # the shortest time that the answer tells apart

            await visitor.send(get("/x/"))
            await visitor.response()

            assert (await rig.routes())["/x"]["last_activity"] > before


async def counted(rig: Rig, port: int, line: str) -> bool:
    async with rig.session.get(f"http://127.0.0.1:{port}/metrics") as response:
        return line in (await response.text()).splitlines()
