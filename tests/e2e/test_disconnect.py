"""Whoever goes away while waiting leaves nothing behind; who asks twice gets one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.components import require
from tests.serving import PERL, TINY_SERVER, Serving
from tests.waiting import eventually

#: Starts only when the test says so, by making the file ``go``.
CONFIG = """
backend = "process"
on_exit = "stop"
[templates.t]
stop_grace = "0s"
command = "until [ -e {directory}/go ]; do sleep 0.05; done; exec {perl} {tiny}"
[pools.t]
size = 5
spare = 0
"""


@pytest.fixture
def config(directory: Path) -> str:
    require("perl")
    return CONFIG.format(directory=directory, perl=PERL, tiny=TINY_SERVER)


async def send_launch(server: Serving, *headers: str) -> asyncio.StreamWriter:
    """Send a launch over a socket of its own, and read no answer."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    lines = ["POST /api/spawn HTTP/1.1", "Host: x", "Content-Length: 0", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    await writer.drain()
    return writer


async def pool(server: Serving) -> Any:
    ((one),) = (await server.status())["pools"]
    return one


async def until_waiting(server: Serving, number: int) -> None:
    async def is_so() -> bool:
        return bool((await pool(server))["waiting"] == number)

    await eventually(is_so)


async def until_nothing_is_left(server: Serving) -> None:
    async def is_so() -> bool:
        status = await server.status()
        (one,) = status["pools"]
        places = [path for path in (server.directory / "environments").iterdir() if path.is_dir()]
        return not (one["waiting"] or status["environments"] or places)

    await eventually(is_so, within=30)


@pytest.mark.parametrize("way", ["reset", "closed"])
async def test_a_client_that_leaves_while_it_waits_leaves_nothing(
    directory: Path, config: str, way: str
) -> None:
    async with Serving(directory, config) as server:
        writers = [await send_launch(server) for _ in range(3)]
        await until_waiting(server, 3)

        for writer in writers:
            writer.transport.abort() if way == "reset" else writer.close()
        await until_waiting(server, 0)
        (directory / "go").touch()

        await until_nothing_is_left(server)


async def test_only_those_who_stay_get_an_environment(directory: Path, config: str) -> None:
    async with Serving(directory, config) as server:
        leaving = [await send_launch(server) for _ in range(2)]
        await until_waiting(server, 2)
        staying = asyncio.create_task(server.spawn("t"))
        await until_waiting(server, 3)

        for writer in leaving:
            writer.close()
        await until_waiting(server, 1)
        (directory / "go").touch()
        status, body = await staying

        assert status == 200
        assert await server.visit(body["id"]) == 200

        async def is_alone() -> bool:
            found = {one["id"] for one in (await server.status())["environments"]}
            return found == {body["id"]}

        await eventually(is_alone)


async def test_a_client_that_leaves_when_its_environment_is_just_ready_leaves_nothing(
    directory: Path, config: str
) -> None:
    """They leave at any moment around the hand-out, and none is handed out to nobody."""
    (directory / "go").touch()
    async with Serving(directory, config) as server:
        for pause_ms in range(0, 400, 40):
            writer = await send_launch(server)
            await asyncio.sleep(pause_ms / 1000)
            writer.transport.abort()

        # An answer that was already on its way may have been lost with its connection: such
        # an environment counts as handed out, and is culled when it has been idle.
        async def is_settled() -> bool:
            one = await pool(server)
            busy = [one["phases"][phase] for phase in ("creating", "starting", "draining")]
            return not (one["waiting"] or any(busy) or one["phases"]["ready"])

        await eventually(is_settled, within=30)


async def test_concurrent_launches_with_one_key_share_one_environment(
    directory: Path, config: str
) -> None:
    async def launch(server: Serving) -> str:
        async with server.session.post(
            f"{server.url}/api/spawn", headers={"Idempotency-Key": "one"}
        ) as response:
            assert response.status == 200, await response.text()
            return str((await response.json())["id"])

    async with Serving(directory, config) as server:
        launches = [asyncio.create_task(launch(server)) for _ in range(5)]
        await until_waiting(server, 1)
        (directory / "go").touch()

        ids = set(await asyncio.gather(*launches))

        assert len(ids) == 1
        assert ids == {one["id"] for one in (await server.status())["environments"]}
        assert await launch(server) in ids


async def test_a_client_with_a_key_may_come_back_for_its_launch(
    directory: Path, config: str
) -> None:
    async with Serving(directory, config) as server:
        writer = await send_launch(server, "Idempotency-Key: mine")
        await until_waiting(server, 1)
        writer.transport.abort()
        (directory / "go").touch()

        async def is_there() -> bool:
            return bool((await pool(server))["phases"]["assigned"])

        await eventually(is_there)
        async with server.session.post(
            f"{server.url}/api/spawn", headers={"Idempotency-Key": "mine"}
        ) as response:
            body = await response.json()

        assert {one["id"] for one in (await server.status())["environments"]} == {body["id"]}
