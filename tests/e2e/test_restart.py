"""A restart keeps what runs, unless it was told to end it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components import TINY, require
from tests.e2e.containers import containers, remove_all
from tests.serving import PERL, TINY_SERVER, Serving

CONFIG = """
backend = "{backend}"
[proxy]
drain_timeout_s = 0.5
[templates.t]
title = "Tiny"
image = "{image}"
stop_grace = "0s"
{command}
[pools.t]
size = 6
spare = 2
"""


@pytest.fixture(params=["process", "docker"])
def backend(request: pytest.FixtureRequest, name: str) -> Iterator[str]:
    backend = str(request.param)
    require("perl", *(("docker", "tiny-image") if backend == "docker" else ()))
    yield backend
    if backend == "docker":
        remove_all(name)


@pytest.fixture
def name(instance: str) -> str:
    return f"restart-{instance}-{os.getpid()}"


def config(backend: str, on_exit: str) -> str:
    command = f'command = ["{PERL}", "{TINY_SERVER}"]' if backend == "process" else ""
    return f'on_exit = "{on_exit}"\n' + CONFIG.format(backend=backend, image=TINY, command=command)


def running(server: Serving, backend: str, name: str) -> set[str]:
    """List what there is, whatever tmpenv says of it."""
    if backend == "docker":
        return containers(name)
    return {path.name for path in (server.directory / "environments").iterdir() if path.is_dir()}


async def test_a_restart_keeps_sessions_and_spares(
    directory: Path, backend: str, name: str
) -> None:
    async with Serving(directory, config(backend, "keep"), instance=name) as server:
        await server.until_spares(2, "t")
        sessions = [(await server.spawn("t"))[1]["id"] for _ in range(2)]
        await server.until_spares(2, "t")
        before = await phases(server)

        assert await server.stop() == 0
        assert running(server, backend, name) == set(before)
        await server.start()

        assert {await server.visit(one) for one in sessions} == {200}
        assert await phases(server) == before
        _, body = await server.spawn("t")
        assert before[body["id"]] == "ready"
        assert await server.visit(body["id"]) == 200


async def test_an_exit_that_was_told_to_stops_everything(
    directory: Path, backend: str, name: str
) -> None:
    async with Serving(directory, config(backend, "stop"), instance=name) as server:
        await server.until_spares(2, "t")
        status, body = await server.spawn("t")
        assert status == 200
        await server.until_spares(2, "t")
        assert body["id"] in running(server, backend, name)

        assert await server.stop() == 0

        assert running(server, backend, name) == set()


async def phases(server: Serving) -> dict[str, str]:
    return {one["id"]: one["phase"] for one in (await server.status())["environments"]}
