"""The Binder API's pools: made, resized, drained and removed over HTTP, at once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from spawner.backends.memory import MemoryBackend
from spawner.model import Phase, Pool, Template
from tests.deployment import Deployment
from tests.integration.web.binder import Binder
from tests.integration.web.conftest import Open
from tests.redis_server import RedisServer
from tests.waiting import eventually


@pytest.fixture
async def binder(open_site: Open) -> AsyncIterator[Binder]:
    async with open_site() as site:
        binder = Binder(site)
        status, _ = await binder.ask("POST", "/templates", {"name": "repo", "image-name": "r:1"})
        assert status == 200
        yield binder


async def until_numbers(binder: Binder, *, available: int, running: int) -> None:
    async def are_so() -> bool:
        _, pool = await binder.ask("GET", "/pools/repo")
        return (pool["available"], pool["running"]) == (available, running)

    await eventually(are_so)


async def test_a_template_that_was_registered_has_no_pool_and_is_launched_anew(
    binder: Binder,
) -> None:
    status, problem = await binder.ask("GET", "/pools/repo")
    launched = await binder.launched("/applications/repo")

    assert (status, problem["type"]) == (404, "noPool")
    assert launched["location"].startswith("/user/")
    assert (await binder.site.pool("repo")).present == 1


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_d32_a_pool_is_made_and_resized_at_once(binder: Binder, method: str) -> None:
    status, made = await binder.ask(method, "/pools/Repo", {"size": 2})
    await until_numbers(binder, available=2, running=0)
    _, launched = await binder.ask("POST", "/applications/repo", key=False)
    await until_numbers(binder, available=1, running=1)
    resized = await binder.ask(method, "/api/pools/repo/", {"size": "4"})
    await until_numbers(binder, available=3, running=1)
    await binder.ask(method, "/pools/repo", {"size": 1})
    await until_numbers(binder, available=0, running=1)

    assert (status, made["template-name"], made["size"]) == (200, "repo", 2)
    assert (resized[0], resized[1]["size"]) == (200, 4)
    assert launched["location"] == f"/user/{launched['id']}"


async def test_d32_the_same_size_again_changes_nothing(binder: Binder) -> None:
    await binder.ask("POST", "/pools/repo", {"size": 2})
    before = binder.site.service.catalogue.recipes["repo"]

    status, _ = await binder.ask("POST", "/pools/repo", {"size": 2})

    assert status == 200
    assert binder.site.service.catalogue.recipes["repo"] == before


async def test_d32_size_0_drains_and_hands_out_nothing(binder: Binder) -> None:
    await binder.ask("POST", "/pools/repo", {"size": 2})
    await until_numbers(binder, available=2, running=0)
    _, session = await binder.ask("POST", "/applications/repo")

    status, _ = await binder.ask("POST", "/pools/repo", {"size": 0})
    full, told = await binder.ask("POST", "/applications/repo")
    await until_numbers(binder, available=0, running=1)

    assert (status, full, told["type"]) == (200, 429, "full")
    _, shown = await binder.ask("GET", f"/applications/repo/{session['id']}")
    assert shown["status"] == "deployed"


async def test_d32_what_is_removed_is_no_pool_and_can_still_be_launched(binder: Binder) -> None:
    await binder.ask("POST", "/pools/repo", {"size": 1})
    await until_numbers(binder, available=1, running=0)
    removed, _ = await binder.ask("DELETE", "/pools/repo/")

    gone = await binder.ask("GET", "/pools/repo")
    again = await binder.ask("DELETE", "/pools/repo")

    async def is_empty() -> bool:
        return (await binder.site.pool("repo")).spares == 0

    await eventually(is_empty)
    await binder.launched("/applications/repo")
    assert removed == 200
    assert gone[0] == again[0] == 404
    assert gone[1]["type"] == again[1]["type"] == "noPool"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"size": -1},
        {"size": "many"},
        {"size": 1.5},
        {"size": True},
        {"size": None},
        [],
        {"size": 10**9},
        {"size": 1, "sise": 2},
    ],
)
async def test_d32_a_size_that_is_none_is_refused(binder: Binder, body: Any) -> None:
    status, problem = await binder.ask("POST", "/pools/repo", body)

    assert (status, problem["type"]) == (422, "malformedRequest")
    assert (await binder.ask("GET", "/pools/repo"))[0] == 404


async def test_d32_a_pool_of_nothing_is_refused(binder: Binder) -> None:
    answers = [
        await binder.ask(method, "/pools/nosuch", body)
        for method, body in (("GET", None), ("POST", {"size": 1}), ("DELETE", None))
    ]

    assert [(status, told["type"]) for status, told in answers] == [(404, "doesNotExist")] * 3


async def test_pools_of_the_configuration_are_shown_and_not_changed(binder: Binder) -> None:
    shown, pool = await binder.ask("GET", "/pools/lab")
    answers = [
        await binder.ask("POST", "/pools/lab", {"size": 9}),
        await binder.ask("DELETE", "/pools/lab"),
    ]

    assert (shown, pool["size"]) == (200, 3)
    assert [(status, told["type"]) for status, told in answers] == [(409, "template_declared")] * 2


async def test_d30_the_list_is_an_array_of_what_has_a_pool(binder: Binder) -> None:
    _, before = await binder.ask("GET", "/pools/")
    await binder.ask("POST", "/pools/repo", {"size": 0})
    _, after = await binder.ask("GET", "/pools")

    assert [one["template-name"] for one in before] == ["lab"]
    assert [one["template-name"] for one in after] == ["lab", "repo"]
    assert all({"size", "available", "running"} <= one.keys() for one in after)


async def test_one_pool_is_read_without_a_key_and_the_rest_needs_one(binder: Binder) -> None:
    key, _ = await binder.site.service.api_keys.make("pools", ("pool",), None)
    launcher, _ = await binder.site.service.api_keys.make("launcher", ("launch",), None)

    async def statuses(**headers: str) -> list[int]:
        return [
            (await binder.ask(method, path, body, key=False, **headers))[0]
            for method, path, body in (
                ("GET", "/pools", None),
                ("POST", "/pools/repo", {"size": 0}),
                ("GET", "/pools/repo", None),
                ("DELETE", "/pools/repo", None),
            )
        ]

    assert await statuses() == [403, 403, 404, 403]
    assert await statuses(Authorization=launcher) == [403, 403, 404, 403]
    assert await statuses(Authorization=key) == [200, 200, 200, 200]


async def test_of_two_resizes_at_once_one_holds_and_both_are_answered(binder: Binder) -> None:
    sizes = range(1, 7)

    answers = await asyncio.gather(
        *(binder.ask("POST", "/pools/repo", {"size": size}) for size in sizes)
    )

    _, last = await binder.ask("GET", "/pools/repo")
    assert [status for status, _ in answers] == [200] * len(sizes)
    assert last["size"] in sizes

    async def is_filled() -> bool:
        _, pool = await binder.ask("GET", "/pools/repo")
        return bool(pool["available"] == last["size"])

    await eventually(is_filled)


async def test_a_template_that_is_registered_anew_keeps_its_pool(binder: Binder) -> None:
    await binder.ask("POST", "/pools/repo", {"size": 1})
    await until_numbers(binder, available=1, running=0)
    old = await binder.site.service.environments()

    await binder.ask("POST", "/templates", {"name": "repo", "image-name": "r:2"})

    async def is_replaced() -> bool:
        spares = [one for one in await binder.site.service.environments() if one not in old]
        return [one.template for one in spares if one.phase is Phase.READY] == ["repo"]

    await eventually(is_replaced)
    assert (await binder.ask("GET", "/pools/repo"))[1]["size"] == 1


async def test_pools_and_applications_survive_a_restart(
    redis_server: RedisServer, instance: str, open_site_on: Open
) -> None:
    backend = MemoryBackend()
    async with Deployment(redis_server.url, instance, backend, templates=()) as before:
        catalogue = before.service.catalogue
        template = Template(name="repo", image="r:1")
        await catalogue.put(template, Pool(size=2))
        await before.until_spares(2, "repo")
        launched = await before.service.applications.launch("repo", auth=template.auth)

    async with open_site_on(redis_server, backend=backend) as site:
        binder = Binder(site)
        await site.service.catalogue.read()

        _, pool = await binder.ask("GET", "/pools/repo")
        _, shown = await binder.ask("GET", f"/applications/repo/{launched.id}")

    assert (pool["size"], pool["running"]) == (2, 1)
    assert shown["status"] == "deployed"
