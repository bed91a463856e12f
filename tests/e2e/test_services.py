"""Environments with companions, as ``tmpenv serve`` runs them."""

from pathlib import Path

import docker
import pytest

from tests.components import TINY, require
from tests.e2e.containers import containers
from tests.serving import Serving
from tests.waiting import eventually

CONFIG = """
backend = "docker"
[services.db]
image = "{image}"
port = 7411
memory = "32M"
env = {{ TMPENV_PORT = "{{port}}", SECRET = "{{password}}" }}
exports = {{ DB = "db://{{password}}@{{host}}:{{port}}" }}
[services.never]
image = "{image}"
port = 7411
memory = "32M"
ready_timeout = "1s"
command = "echo no luck for $SECRET; exec sleep 600"
env = {{ SECRET = "{{password}}" }}
[templates.t]
image = "{image}"
memory = "64M"
services = {services}
[pools.t]
size = 4
spare = {spare}
"""
DB = '[{ name = "db" }]'


def config(services: str = DB, spare: int = 2) -> str:
    return CONFIG.format(image=TINY, services=services, spare=spare)


@pytest.fixture(autouse=True)
def _needs() -> None:
    require("docker", "tiny-image")


def kinds(instance: str) -> list[str]:
    """List what an instance has, by kind, beside the networks that all share."""
    client = docker.from_env()
    ours = {"label": f"tmpenv.instance={instance}"}
    found = [
        *client.api.containers(all=True, filters=ours),
        *client.api.networks(filters=ours),
    ]
    client.close()
    listed = sorted(one["Labels"]["tmpenv.kind"] for one in found)
    return [kind for kind in listed if kind != "network"]


async def test_spares_have_companions_and_a_change_of_them_replaces_spares_alone(
    directory: Path, docker_instance: str
) -> None:
    async with Serving(directory, config(), instance=docker_instance) as server:
        await server.until_spares(2, "t")
        _, session = await server.spawn("t")
        await server.until_spares(2, "t")
        before = containers(docker_instance)
        assert (
            kinds(docker_instance) == ["companion"] * 3 + ["companions"] * 3 + ["environment"] * 3
        )

        await server.stop()
        server.config.write_text(server.config.read_text().replace(f"services = {DB}", ""))
        await server.start()

        async def are_replaced() -> bool:
            return kinds(docker_instance) == ["companion", "companions", *["environment"] * 3]

        await eventually(are_replaced, within=60)
        assert before & containers(docker_instance) == {session["id"]}
        assert await server.visit(session["id"]) == 200


async def test_nothing_is_left_of_starts_that_a_kill_cut_short(
    directory: Path, docker_instance: str
) -> None:
    async with Serving(directory, config(), instance=docker_instance) as server:

        async def has_begun() -> bool:
            return "companion" in kinds(docker_instance)

        await eventually(has_begun)
        server.kill()
        await server.start()
        await server.until_spares(2, "t")

        async def are_whole() -> bool:
            usual = ["companion"] * 2 + ["companions"] * 2 + ["environment"] * 2
            return kinds(docker_instance) == usual

        await eventually(are_whole, within=60)


async def test_a_companion_that_is_not_ready_is_named_with_its_last_words(
    directory: Path, docker_instance: str
) -> None:
    given = config('[{ name = "never" }]', spare=1)
    async with Serving(directory, given, instance=docker_instance) as server:

        async def is_told() -> bool:
            (pool,) = (await server.status())["pools"]
            told = 'The service "never" was not ready within 1 s (no luck for ***)'
            return told in str(pool)

        await eventually(is_told, within=60)
    assert "no luck for ***" in server.log.read_text()
