"""Builds over HTTP with what runs them: the queue, the lease, and logs in Redis."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.builds.fakes import FailsAStep, HeldEngine
from tests.integration.builds.site import Site as Making
from tests.integration.web.conftest import API_KEY, Open, Site
from tests.integration.web.test_binder_build_logs import event
from tests.redis_server import RedisServer
from tests.waiting import eventually

KEY = {"Authorization": API_KEY}
REPOSITORY = "https://git.example.org/course"


@pytest.fixture
def open_making(open_site: Open, redis_server: RedisServer, instance: str, tmp_path: Path) -> Open:
    """Give what opens a site that builds with an engine of the test's."""

    @asynccontextmanager
    async def open_(engine: HeldEngine) -> AsyncIterator[Site]:
        # Of an instance of its own: the lease of this one is the site's.
        making = Making(redis_server.url, f"{instance}-builds", tmp_path, engine=engine)
        async with open_site() as site, making:
            site.service.builds = making.builds
            yield site

    return open_


async def start(site: Site, **body: Any) -> dict[str, Any]:
    given = {"repository": REPOSITORY, **body}
    response = await site.client.post("/builds/", json=given, headers=KEY)
    assert response.status == 200, await response.text()
    started: dict[str, Any] = await response.json()
    return started


async def until(site: Site, status: str) -> dict[str, Any]:
    async def is_so() -> dict[str, Any] | None:
        found: dict[str, Any] = await (await site.get("/builds/repo/course")).json()
        return found if found["status"] == status else None

    found = await eventually(is_so)
    assert found is not None
    return found


async def test_a_build_is_followed_from_its_start_to_its_link(open_making: Open) -> None:
    engine = HeldEngine(held=True)
    async with open_making(engine) as site:
        started = await start(site)
        log = await site.get("/builds/Course/logs", Accept="text/event-stream")
        texts, ids = [], []
        while "Collecting six" not in texts:
            one = await event(log)
            texts.append(json.loads(one["data"])["text"])
            ids.append(one["id"])
        assert (started["status"], (await until(site, "running"))["phase"]) == (
            "running",
            "building",
        )

        engine.go.set()
        while "event" not in (one := await event(log)):
            pass
        ended = json.loads(one["data"])
        rest = await site.get("/builds/course/logs?format=ndjson", **{"Last-Event-ID": ids[-1]})

        assert (ended["status"], ended["phase"]) == ("completed", "finished")
        assert ended["dependencies"] == ["requirements.txt"]
        left = [json.loads(line) for line in (await rest.text()).splitlines()]
        assert left
        assert not {entry["id"] for entry in left} & set(ids)
        assert await (await site.get("/builds/course/status")).json() == {"status": "completed"}


async def test_a_cancelled_build_has_failed_and_can_be_removed(open_making: Open) -> None:
    async with open_making(HeldEngine(held=True)) as site:
        await start(site)
        cancelled = await site.client.delete("/builds/course", headers=KEY)
        failed = await until(site, "failed")
        removed = await site.client.delete("/builds/course", headers=KEY)
        gone = await site.get("/builds/course/logs")

        assert (await cancelled.json())["cancelled"]
        assert failed["error"]
        assert (await removed.json())["removed"]
        assert gone.status == 404


async def test_a_build_that_fails_says_why(open_making: Open) -> None:
    async with open_making(FailsAStep()) as site:
        await start(site)
        failed = await until(site, "failed")

        text = await (await site.get("/builds/course/logs")).text()
        assert failed["error"] == "Step 2 of 2 failed: pip install."
        assert "ERROR: no such package" in text


async def test_another_build_of_the_image_is_refused_while_it_runs(open_making: Open) -> None:
    async with open_making(HeldEngine(held=True)) as site:
        await start(site)
        given = {"repository": REPOSITORY, "dependencies": ["Dockerfile"]}
        refused = await site.client.post("/builds", json=given, headers=KEY)

        body = await refused.json()
        assert (refused.status, body["type"]) == (409, "alreadyBuilding")
        assert body["error"] == "Already building the image"


async def test_a_template_that_there_is_not_yet_has_the_status_of_its_build(
    open_making: Open,
) -> None:
    engine = FailsAStep(held=True)
    async with open_making(engine) as site:
        await start(site)
        waits = await (await site.get("/templates/Course/status")).json()
        engine.go.set()
        await until(site, "failed")
        ended = await (await site.get("/templates/course/status/")).json()
        unknown = await site.get("/templates/nothing/status")

        assert (waits, ended) == ({"status": "pending"}, {"status": "failed"})
        assert (unknown.status, (await unknown.json())["type"]) == (404, "doesNotExist")
