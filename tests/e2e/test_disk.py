"""A visitor who fills the disk loses the environment, is told why, and nobody else notices."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker

from tests.components import TINY, require
from tests.serving import PERL, TINY_SERVER, Serving
from tests.waiting import eventually

MIB = 1 << 20
CONFIG = f"""
on_exit = "stop"
[culling]
disk_interval = "200ms"
[templates.t]
image = "{TINY}"
disk = "5M"
stop_grace = "0s"
memory = "64M"
command = {{command}}
[pools.t]
size = 4
spare = 1
"""
ON_PROCESS = 'backend = "process"\n' + CONFIG.format(command=f'["{PERL}", "{TINY_SERVER}"]')
ON_DOCKER = 'backend = "docker"\n' + CONFIG.format(command='["perl", "/server.pl"]')
Write = Callable[[str, int], None]


async def told_on_the_page(server: Serving, environment_id: str) -> str:
    async with server.session.get(
        f"{server.url}/user/{environment_id}/", headers={"Accept": "text/html"}
    ) as response:
        assert response.status == 410
        return await response.text()


async def see_the_greedy_one_ended(server: Serving, write: Write) -> None:
    """Let one write thrice its limit and another stay within, and see what each meets."""
    await server.until_spares(1, "t")
    (_, greedy), (_, frugal) = [await server.spawn("t") for _ in range(2)]
    await asyncio.to_thread(write, frugal["id"], 4 * MIB)

    await asyncio.to_thread(write, greedy["id"], 15 * MIB)

    async def is_ended() -> bool:
        return await server.visit(greedy["id"]) == 410

    await eventually(is_ended, within=30)
    assert "more disk space" in await told_on_the_page(server, greedy["id"])

    async def told() -> Any:
        async with server.session.get(f"{server.url}/api/environments/{greedy['id']}") as response:
            shown = await response.json()
        return shown["detail"] and shown

    shown = await eventually(told)
    assert shown["reason"] == "disk"
    assert re.fullmatch(r"used [\d.]+M of disk, and its limit is 5M", shown["detail"])
    assert await server.visit(frugal["id"]) == 200
    assert '"reason": "disk"' in server.log.read_text()


async def test_as_a_process(directory: Path) -> None:
    require("perl")

    def write(environment_id: str, count: int) -> None:
        home = directory / "environments" / environment_id / "home"
        (home / "written").write_bytes(b"x" * count)

    async with Serving(directory, ON_PROCESS) as server:
        await see_the_greedy_one_ended(server, write)


async def test_in_a_container(directory: Path, docker_instance: str) -> None:
    def write(environment_id: str, count: int) -> None:
        client = docker.from_env()
        found = client.containers.get(f"tmpenv-{docker_instance}-{environment_id}")
        found.exec_run(["sh", "-c", f"head -c {count} /dev/zero >/tmp/written"])
        client.close()

    async with Serving(directory, ON_DOCKER, instance=docker_instance) as server:
        await see_the_greedy_one_ended(server, write)
