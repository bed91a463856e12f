"""Binder's own client, unmodified, from a template to an environment that answers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.binder_client import BinderClient, BinderError
from tests.components import TINY, require
from tests.serving import API_KEY, Serving
from tests.waiting import eventually

CONFIG = f"""
backend = "docker"
on_exit = "stop"
[templates.declared]
image = "{TINY}"
stop_grace = "0s"
[pools.declared]
size = 2
spare = 0
"""


@pytest.fixture
async def server(directory: Path, docker_instance: str) -> AsyncIterator[Serving]:
    require("binder-client")
    async with Serving(directory, CONFIG, instance=docker_instance) as server:
        yield server


@pytest.fixture
async def key(server: Serving) -> str:
    """A key without blanks, which the client sends as it is."""
    wanted = {"name": "binder", "scopes": ["admin"]}
    return str((await asked(server, "POST", "/api/keys", wanted))["key"])


async def asked(server: Serving, method: str, path: str, body: Any = None) -> Any:
    async with server.session.request(
        method, f"{server.url}{path}", json=body, headers={"Authorization": f"token {API_KEY}"}
    ) as response:
        answer = await response.json()
        assert response.status == 200, answer
        return answer


async def register(server: Serving) -> None:
    template = {"name": "Tiny-Repo", "image-name": TINY, "limits": {"memory": "64MB", "cpu": "10"}}
    await asked(server, "POST", "/templates", template)


async def until_located(client: BinderClient, application_id: str) -> Any:
    async def is_located() -> Any:
        shown = await client.told("deploy", "status", "tiny-repo", application_id)
        return shown if "location" in shown else None

    return await eventually(is_located, within=60)


@pytest.mark.parametrize("prefix", ["", "/api"])
async def test_its_commands_lead_from_a_template_to_an_environment_that_answers(
    server: Serving, key: str, prefix: str
) -> None:
    client = BinderClient(server.port, key, prefix)
    await register(server)

    fetched = await client.told("registry", "fetch", "Tiny-Repo")
    listed = await client.told("registry", "fetch-all")
    deployed = await client.told("deploy", "deploy", "tiny-repo", "3600000")
    located = await until_located(client, deployed["id"])
    running = await client.told("deploy", "status-all", "tiny-repo")
    everything = await client.told("deploy", "status-all", "")
    async with server.session.get(f"{server.url}{located['location']}/api") as response:
        answered = response.status

    assert fetched["image-source"] == TINY
    assert fetched["limits"] == {"memory": "64MB", "cpu": "10"}
    assert [one["name"] for one in listed] == ["declared", "tiny-repo"]
    assert located["id"] == deployed["id"]
    assert located["cull-timeout-ms"] == 3_600_000
    assert [one["id"] for one in running] == [one["id"] for one in everything] == [deployed["id"]]
    assert answered == 200


async def test_it_preloads_and_is_told_when_that_is_done(server: Serving, key: str) -> None:
    client = BinderClient(server.port, key)
    await register(server)

    begun = await client.told("deploy", "preload", "tiny-repo")

    async def is_done() -> bool:
        told = await client.told("deploy", "preload-status", "tiny-repo")
        return bool(told["status"] == "completed")

    await eventually(is_done)
    assert begun["template"] == "tiny-repo"


async def test_its_javascript_tells_of_health_and_of_applications(
    server: Serving, key: str
) -> None:
    client = BinderClient(server.port, key)

    health = await client.call("health", "status")
    deployed = await client.call(
        "deploy", "deploy", template_name="declared", cull_timeout=3_600_000
    )
    shown = await client.call("deploy", "status", template_name="declared", id=deployed["id"])

    assert {one["name"]: one["status"] for one in health}["deploy"] == "running"
    assert shown["id"] == deployed["id"]
    assert shown["status"] in ("pending", "deploying", "deployed")


async def test_it_tells_people_what_went_wrong(server: Serving, key: str) -> None:
    client = BinderClient(server.port, key)
    stranger = BinderClient(server.port, "wrong")

    unknown = await client.command("registry", "fetch", "nosuch")
    no_record = await client.command("deploy", "status", "declared", "nosuch")
    refused = await stranger.command("registry", "fetch-all")

    assert 'There is no template "nosuch"' in unknown
    assert "no record for that template/ID combination" in no_record
    assert "uthorized" in refused
    with pytest.raises(BinderError):
        await stranger.call("health", "status")


async def test_with_a_pool_an_environment_is_there_at_once_and_it_survives_a_restart(
    server: Serving, key: str
) -> None:
    client = BinderClient(server.port, key)
    await register(server)
    await asked(server, "POST", "/pools/tiny-repo", {"size": 2})
    await server.until_spares(2, "tiny-repo")

    deployed = await client.told("deploy", "deploy", "tiny-repo", "3600000")
    server.kill()
    await server.start()

    assert deployed["location"] == f"/user/{deployed['id']}"
    shown = await client.told("deploy", "status", "tiny-repo", deployed["id"])
    pool = await asked(server, "GET", "/pools/tiny-repo")
    assert shown["location"] == deployed["location"]
    assert (pool["size"], pool["running"]) == (2, 1)
    assert await server.visit(deployed["id"]) == 200
