"""Templates that are put, shown and removed over HTTP."""

from typing import Any

import pytest

from spawner.model import Phase
from tests.integration.web.conftest import API_KEY, Site
from tests.waiting import eventually

KEY = {"Authorization": f"token {API_KEY}"}
COURSE = {"template": {"image": "c:1", "title": "Course"}, "pool": {"size": 2, "spare": 1}}


async def put(site: Site, name: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    response = await site.client.put(
        f"/api/catalogue/{name}", json=body, headers={**KEY, **headers}
    )
    return response.status, await response.json()


async def test_a_template_that_is_put_is_offered_counted_and_launched(site: Site) -> None:
    status, shown = await put(site, "course", COURSE)

    assert (status, shown["declared"], shown["pool"]) == (200, False, {"size": 2, "spare": 1})
    await site.has_spares(1, "course")
    assert "Course" in await (await site.visit("/")).text()
    assert (await site.visit("/launch/course")).status == 302
    ready = await (await site.get("/readyz")).json()
    assert set(ready["pools"]) == {"lab", "course"}
    stats = await (await site.get("/api/status", **KEY)).json()
    assert [pool["template"] for pool in stats["pools"]] == ["course", "lab"]


async def test_a_template_that_is_removed_is_offered_no_more(site: Site) -> None:
    await put(site, "course", COURSE)
    await site.has_spares(1, "course")
    launched = await site.visit("/launch/course")

    removed = await site.client.delete("/api/catalogue/course", headers=KEY)

    assert (removed.status, launched.status) == (200, 302)
    assert (await site.visit("/launch/course")).status == 404
    assert (await site.get("/api/catalogue/course", **KEY)).status == 404

    async def is_only_the_session_left() -> bool:
        counts = (await site.pool("course")).counts
        return {phase for phase, count in counts.items() if count} == {Phase.ASSIGNED}

    await eventually(is_only_the_session_left)


async def test_what_the_configuration_declares_is_refused(site: Site) -> None:
    status, told = await put(site, "lab", COURSE)
    removed = await site.client.delete("/api/catalogue/lab", headers=KEY)

    assert (status, told["type"]) == (409, "template_declared")
    assert removed.status == 409
    listed = await (await site.get("/api/catalogue", **KEY)).json()
    assert [(one["name"], one["declared"]) for one in listed["recipes"]] == [("lab", True)]


async def test_a_version_that_is_not_there_any_more_is_refused(site: Site) -> None:
    _, first = await put(site, "course", {**COURSE, "version": 0})
    again, told = await put(site, "course", {**COURSE, "version": 0})
    then, second = await put(site, "course", {**COURSE, "version": first["version"]})

    assert (again, told["type"]) == (409, "template_changed")
    assert then == 200
    assert second["version"] != first["version"]


async def test_a_service_that_is_not_in_the_configuration_is_refused(site: Site) -> None:
    body = {"template": {"image": "c:1", "services": [{"name": "postgres", "version": "15"}]}}

    status, told = await put(site, "course", body)

    assert (status, told["type"]) == (422, "bad_template")
    assert told["error"] == 'templates.course.services: there is no service "postgres"'
    assert (await site.get("/api/catalogue/course", **KEY)).status == 404


async def test_every_fault_is_told_with_the_nearest_key(site: Site) -> None:
    body = {"template": {"imag": "x", "port": 0}, "pool": {"size": -1}}

    status, told = await put(site, "course", body)

    assert (status, told["type"]) == (422, "bad_template")
    assert 'templates.course.imag: unknown key; did you mean "image"?' in told["error"]
    assert "templates.course.port: " in told["error"]
    assert "pools.course.size: " in told["error"]


@pytest.mark.parametrize(
    "body", [[], {}, {"template": {}, "size": 3}, {"template": {}, "version": "x"}]
)
async def test_what_is_no_recipe_is_a_bad_request(site: Site, body: Any) -> None:
    assert (await put(site, "course", body))[0] == 400


@pytest.mark.parametrize("name", ["Course", "-x", "x" * 64])
async def test_a_name_that_is_none_is_refused(site: Site, name: str) -> None:
    assert (await put(site, name, COURSE))[0] == 422


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_all_of_it_needs_the_key(site: Site, method: str) -> None:
    response = await site.client.request(method, "/api/catalogue/lab", json=COURSE)

    assert response.status == 403
