"""Several processes of the data path on one port, as ``--proxy-workers`` runs them."""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psutil
import pytest

from tests.integration.proxy.kit import Wire, get, status
from tests.serving import PERL, TINY_SERVER, Serving, free_port
from tests.waiting import eventually

WORKERS = 3
CONFIG = f"""
backend = "process"
proxy_workers = {WORKERS}
[templates.tiny]
command = ["{PERL}", "{TINY_SERVER}"]
stop_grace = "100ms"
[pools.tiny]
size = 4
spare = 1
"""


@pytest.fixture
async def serving(tmp_path: Path) -> AsyncIterator[Serving]:
    async with Serving(tmp_path, CONFIG) as serving:
        await serving.until_spares(1, "tiny")
        yield serving


def workers(serving: Serving) -> list[psutil.Process]:
    children = psutil.Process(serving.pid).children()
    return [one for one in children if "web.worker" in one.cmdline()]


async def visitors(serving: Serving, stack: AsyncExitStack, number: int) -> list[Wire]:
    """Open connections, so many that each process has some."""
    wires = []
    for _ in range(number):
        wire = Wire(*await asyncio.open_connection("127.0.0.1", serving.port))
        stack.push_async_callback(wire.close)
        wires.append(wire)
    return wires


async def answers(wires: list[Wire], path: str) -> list[int]:
    """Ask on each connection; give the codes."""
    for wire in wires:
        await wire.send(get(path))
    return [status((await wire.response())[0]) for wire in wires]


async def test_every_process_leads_to_every_environment(serving: Serving) -> None:
    _, launched = await serving.spawn("tiny")

    async with AsyncExitStack() as stack:
        wires = await visitors(serving, stack, 48)
        codes = await answers(wires, f"{launched['url']}api")
        holders = {owner_of(serving, wire) for wire in wires}

    assert set(codes) == {200}
    assert holders == {worker.pid for worker in workers(serving)}
    assert len(holders) == WORKERS


async def test_a_route_that_falls_has_fallen_everywhere_within_50_ms(serving: Serving) -> None:
    took = []
    async with AsyncExitStack() as stack:
        wires = await visitors(serving, stack, 32)
        for _ in range(5):
            await serving.until_spares(1, "tiny")
            _, launched = await serving.spawn("tiny")
            path = f"{launched['url']}api"
            assert set(await answers(wires, path)) == {200}

            await serving.end(launched["id"])

            started = time.monotonic()
            while set(await answers(wires, path)) != {410}:
                assert time.monotonic() - started < 5
            took.append(time.monotonic() - started)

    # The time that 32 answers take is in it, too.
    assert statistics.median(took) < 0.05


async def test_a_process_that_dies_is_replaced_and_the_others_go_on(serving: Serving) -> None:
    _, launched = await serving.spawn("tiny")
    path = f"{launched['url']}api"
    async with AsyncExitStack() as stack:
        wires = await visitors(serving, stack, 32)
        await answers(wires, path)
        before = {worker.pid for worker in workers(serving)}
        victim = min(before)
        others = [wire for wire in wires if owner_of(serving, wire) != victim]

        os.kill(victim, signal.SIGKILL)

        assert set(await answers(others, path)) == {200}
        # Whom the kernel leads to the dead one waits for the next; nobody is refused.
        assert set(await answers(await visitors(serving, stack, 32), path)) == {200}
        after = {worker.pid for worker in workers(serving)}
        assert len(after) == WORKERS
        assert after & before == before - {victim}
    assert "A process of the data path ended" in serving.log.read_text()


async def test_what_all_of_them_count_is_summed(tmp_path: Path) -> None:
    port = free_port()
    async with (
        Serving(tmp_path, f"metrics_port = {port}\n{CONFIG}") as serving,
        AsyncExitStack() as stack,
    ):
        await serving.until_spares(1, "tiny")  # and so is known who there is
        wires = await visitors(serving, stack, 24)
        assert set(await answers(wires, "/user/nobody/")) == {410}

        async def are_summed() -> bool:
            async with serving.session.get(f"http://127.0.0.1:{port}/metrics") as response:
                lines = (await response.text()).splitlines()
            return {
                'tmpenv_proxy_answers_total{class="edge",code="410"} 24.0',
                f"tmpenv_proxy_workers {WORKERS}.0",
                "tmpenv_proxy_websockets 0.0",
            } <= set(lines)

        await eventually(are_summed)


async def test_sigterm_lets_every_process_finish(serving: Serving) -> None:
    async with AsyncExitStack() as stack:
        wires = await visitors(serving, stack, 16)
        for wire in wires:
            await begin(wire)

        ending = asyncio.create_task(serving.stop())
        await refused(serving.port)
        for wire in wires:
            await wire.send(b"{}")

        heads = [(await wire.response())[0] for wire in wires]
        assert await ending == 0, serving.log.read_text()
    assert {status(head) for head in heads} <= {200, 429}


async def test_a_second_signal_cuts_off_what_is_open(serving: Serving) -> None:
    async with AsyncExitStack() as stack:
        (wire,) = await visitors(serving, stack, 1)
        await begin(wire)
        ending = asyncio.create_task(serving.stop())
        await refused(serving.port)

        os.kill(serving.pid, signal.SIGTERM)

        assert await ending == 0, serving.log.read_text()
        assert await wire.ended()


async def test_processes_end_with_a_control_process_that_is_killed(serving: Serving) -> None:
    pids = [worker.pid for worker in workers(serving)]

    serving.kill()

    async def are_gone() -> bool:
        return not any(psutil.pid_exists(pid) and is_alive(pid) for pid in pids)

    await eventually(are_gone, within=20)
    await serving.start()  # on the same port
    assert len(workers(serving)) == WORKERS


def owner_of(serving: Serving, wire: Wire) -> int:
    """Give the process that serves a connection."""
    port = wire.writer.get_extra_info("sockname")[1]
    for worker in workers(serving):
        for connection in worker.net_connections(kind="tcp4"):
            if connection.raddr and connection.raddr.port == port:
                return worker.pid
    raise AssertionError("nobody has the connection")


async def begin(wire: Wire) -> None:
    """Open a request whose body is still to come."""
    lines = ("Content-Length: 2", "Expect: 100-continue")
    await wire.send(get("/api/spawn", *lines, method="POST"))
    assert status(await wire.head()) == 100


async def refused(port: int) -> None:
    async def is_refused() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            return True
        writer.close()
        return False

    await eventually(is_refused)


def is_alive(pid: int) -> bool:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
