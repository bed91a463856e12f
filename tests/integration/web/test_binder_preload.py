"""The Binder API's preload and health, by what is really there."""

import asyncio
from typing import Any

from spawner.backends.base import Progress
from spawner.backends.memory import MemoryBackend
from spawner.backends.memory_faults import ImageMissing, Unreachable
from spawner.model import Pool, Template
from tests.integration.web.binder import Binder
from tests.integration.web.conftest import Open
from tests.redis_server import RedisServer
from tests.waiting import eventually

NONE_WARM = Pool(size=2, spare=0)


class PullsSlowly(MemoryBackend):
    """Prepares nothing until ``gate`` is set."""

    def __init__(self) -> None:
        super().__init__("test", None)
        self.gate = asyncio.Event()
        self.prepared: list[str] = []

    async def prepare(self, template: Template, progress: Progress) -> None:
        self.prepared.append(template.name)
        progress("pulling: 34 %")
        await self.gate.wait()


class Breaks(MemoryBackend):
    """Has a mistake in it."""

    async def prepare(self, template: Template, progress: Progress) -> None:
        raise RuntimeError("a mistake")


async def until_told(binder: Binder, **facts: str) -> Any:
    async def is_told() -> Any:
        status, shown = await binder.ask("GET", "/preload/lab/")
        assert status == 200
        return shown if facts.items() <= shown.items() else None

    return await eventually(is_told)


async def test_a_preload_goes_on_aside_and_is_told_from_its_beginning_to_its_end(
    open_site: Open,
) -> None:
    backend = PullsSlowly()
    async with open_site(backend=backend, pool=NONE_WARM) as site:
        binder = Binder(site)
        none, nothing = await binder.ask("GET", "/preload/lab")
        status, begun = await binder.ask("POST", "/preload/Lab/")
        loading = await until_told(binder, status="loading")
        again, _ = await binder.ask("POST", "/preload/lab")
        backend.gate.set()
        completed = await until_told(binder, status="completed")

    assert (none, nothing) == (200, {})
    assert (status, begun["template"], begun["status"]) == (200, "lab", "loading")
    assert again == 200
    assert backend.prepared == ["lab"]
    assert loading["start-time"] == completed["start-time"] == begun["start-time"]


async def test_a_preload_that_fails_says_why(open_site: Open) -> None:
    async with open_site(backend=ImageMissing(), pool=NONE_WARM) as site:
        binder = Binder(site)
        await binder.ask("POST", "/preload/lab")

        failed = await until_told(binder, status="failed")

    assert "lab:1" in failed["error"]


async def test_a_mistake_in_one_preload_leaves_the_others_going(open_site: Open) -> None:
    async with open_site(backend=Breaks(), pool=NONE_WARM) as site:
        binder = Binder(site)
        await binder.ask("POST", "/preload/lab")
        await until_told(binder, status="failed", error="internal error")

        status, _ = await binder.ask("POST", "/preload/lab")

    assert status == 200


async def test_another_process_tells_of_it_too(
    redis_server: RedisServer, open_site_on: Open
) -> None:
    async with open_site_on(redis_server, pool=NONE_WARM) as site:
        binder = Binder(site)
        await binder.ask("POST", "/preload/lab")
        told = await until_told(binder, status="completed")

    async with open_site_on(redis_server, pool=NONE_WARM) as site:
        assert await Binder(site).ask("GET", "/preload/lab") == (200, told)


async def test_preload_and_health_need_a_key_and_a_template(open_site: Open) -> None:
    async with open_site(pool=NONE_WARM) as site:
        binder = Binder(site)
        refused = [
            (await binder.ask(method, path, key=False))[0]
            for method, path in (
                ("POST", "/preload/lab"),
                ("GET", "/preload/lab"),
                ("GET", "/health"),
            )
        ]
        unknown = await binder.ask("POST", "/preload/nosuch")

    assert refused == [403] * 3
    assert (unknown[0], unknown[1]["type"]) == (404, "doesNotExist")


async def test_health_tells_of_each_part_what_is_so(open_site: Open) -> None:
    async with open_site(pool=NONE_WARM) as site:
        status, parts = await Binder(site).ask("GET", "/api/health/")
    async with open_site(pool=NONE_WARM, backend=Unreachable()) as site:
        _, without = await Binder(site).ask("GET", "/health")

    assert status == 200
    assert [one["name"] for one in parts] == ["build", "deploy", "registry"]
    assert all(one["timestamp"].endswith("Z") for one in parts)
    assert {one["name"]: one["status"] for one in parts}["deploy"] == "running"
    assert {one["name"]: one["status"] for one in without} == {
        "build": "down",
        "deploy": "down",
        "registry": "running",
    }


async def test_health_answers_also_when_the_store_does_not(
    own_redis: RedisServer, open_site_on: Open
) -> None:
    async with open_site_on(own_redis, pool=NONE_WARM) as site:
        own_redis.stop()
        status, parts = await Binder(site).ask("GET", "/health")
        own_redis.start()

    assert status == 200
    assert [one["status"] for one in parts] == ["down"] * 3
