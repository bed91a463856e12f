"""What tmpnb's clients send, and what they get."""

import re
from typing import Any

import pytest

from spawner.backends.memory_faults import NeverReady, NeverStarts
from spawner.model import Auth, Phase, Pool, Template
from tests.integration.web.conftest import API_KEY, LAB, Open, Site
from tests.waiting import eventually

KEY = {"Authorization": f"token {API_KEY}"}
R = Template(name="r", image="r:1")


async def spawned(site: Site, **arguments: Any) -> dict[str, Any]:
    response = await site.client.post("/api/spawn/", **arguments)
    assert response.status == 200, await response.text()
    body: dict[str, Any] = await response.json()
    return body


async def test_a_spawn_gives_all_that_a_page_needs(site: Site) -> None:
    body = await spawned(
        site, headers={"X-Forwarded-Proto": "https", "X-Forwarded-Host": "lab.example"}
    )

    base = f"/user/{body['id']}/"
    assert body["url"] == base
    assert body["base_url"] == f"https://lab.example{base}"
    assert body["ws_url"] == f"wss://lab.example{base}"
    assert body["token"] == site.service.token(body["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["expires_at"])


async def test_what_old_thebe_sends_is_understood(site: Site) -> None:
    """No Content-Type, a trailing slash, and an image that means nothing here."""
    body = await spawned(
        site,
        data='{"image_name": "jupyter/notebook"}',
        headers={"Content-Type": "text/plain;charset=UTF-8"},
    )

    assert body["template"] == "lab"


@pytest.mark.parametrize("data", [b"", b"not json", b"[]", b"\xff\xfe", b'"x"', b"[" * 60000])
async def test_a_body_that_says_nothing_is_ignored(site: Site, data: bytes) -> None:
    await spawned(site, data=data, headers={"Content-Type": "text/plain"})


@pytest.mark.parametrize("body", [{"template": "r"}, {"image_name": "r:1"}, {"image_name": "r"}])
async def test_a_template_can_be_named(open_site: Open, body: dict[str, str]) -> None:
    async with open_site(templates=(LAB, R)) as site:
        assert (await spawned(site, json=body))["template"] == "r"


async def test_without_a_name_the_first_template_is_handed_out(open_site: Open) -> None:
    async with open_site(templates=(R, LAB)) as site:
        assert (await spawned(site))["template"] == "r"


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [
        ({"json": {"template": "nothing"}}, 404, "unknown_template"),
        ({"json": {"template": 3}}, 400, "bad_request"),
        ({"data": "{", "headers": {"Content-Type": "application/json"}}, 400, "bad_request"),
        ({"data": b"x" * 70000}, 413, "too_large"),
        ({"headers": {"Idempotency-Key": "a b"}}, 400, "bad_request"),
        ({"headers": {"Idempotency-Key": "x" * 256}}, 400, "bad_request"),
    ],
)
async def test_a_malformed_spawn_takes_nothing(
    site: Site, arguments: dict[str, Any], status: int, code: str
) -> None:
    response = await site.client.post("/api/spawn", **arguments)

    assert response.status == status
    assert (await response.json())["type"] == code
    assert (await site.pool("lab")).counts.get(Phase.ASSIGNED, 0) == 0


async def test_one_key_gives_one_environment(site: Site) -> None:
    key = {"Idempotency-Key": "one"}

    first = await spawned(site, headers=key)
    again = await spawned(site, headers=key)
    other = await spawned(site, headers={"Idempotency-Key": "two"})

    assert first["id"] == again["id"] != other["id"]


async def test_a_key_is_its_callers_own(site: Site) -> None:
    ids = {
        (await spawned(site, headers={"Idempotency-Key": "one", **caller}))["id"]
        for caller in ({"X-Forwarded-For": "10.0.0.1"}, {"X-Forwarded-For": "10.0.0.2"})
    }

    assert len(ids) == 2


async def test_a_key_for_another_template_is_refused(open_site: Open) -> None:
    async with open_site(templates=(LAB, R)) as site:
        key = {"Idempotency-Key": "one"}
        await spawned(site, headers=key)

        response = await site.client.post("/api/spawn", headers=key, json={"template": "r"})

        assert (response.status, (await response.json())["type"]) == (422, "key_reused")


async def test_a_key_whose_environment_ended_says_so(site: Site) -> None:
    key = {"Idempotency-Key": "one"}
    await site.service.stop((await spawned(site, headers=key))["id"])

    response = await site.client.post("/api/spawn", headers=key)

    assert (response.status, (await response.json())["type"]) == (410, "gone")


async def test_a_full_pool_says_so_as_tmpnb_did(open_site: Open) -> None:
    async with open_site(pool=Pool(size=1)) as site:
        await spawned(site)

        response = await site.client.post("/api/spawn")

        body = await response.json()
        assert (response.status, body["status"], body["type"]) == (429, "full", "full")
        assert int(response.headers["Retry-After"]) >= 5


async def test_a_failing_pool_says_why(open_site: Open) -> None:
    async with open_site(pool=Pool(size=2, spare=1), backend=NeverStarts()) as site:

        async def is_failing() -> bool:
            trouble = (await site.pool("lab")).trouble
            return trouble is not None and trouble.failures >= 2

        await eventually(is_failing)

        response = await site.client.post("/api/spawn")
        page = await site.visit("/launch/lab")

        assert (response.status, (await response.json())["type"]) == (503, "failing")
        assert page.status == 503
        assert "no such executable" in await page.text()
        assert "not available now" in await (await site.visit("/")).text()


async def test_a_launch_that_takes_too_long_is_given_up(open_site: Open) -> None:
    async with open_site(
        templates=(Template(name="lab", start_timeout=60),),
        pool=Pool(size=1, spare=0),
        backend=NeverReady(),
        launch_timeout="50ms",
    ) as site:
        response = await site.client.post("/api/spawn")

        assert (response.status, (await response.json())["type"]) == (503, "launch_timeout")
        assert response.headers["Retry-After"]
        assert (await site.pool("lab")).waiting == 0


async def test_tokens_are_in_the_url_only_where_the_visitor_carries_them(open_site: Open) -> None:
    by_url = Template(name="lab", auth=Auth.URL)
    without = Template(name="r", auth=Auth.NONE)
    async with open_site(templates=(by_url, without)) as site:
        carried = await spawned(site)
        none = await spawned(site, json={"template": "r"})

        assert carried["url"] == f"/user/{carried['id']}/?token={carried['token']}"
        assert carried["base_url"].endswith(f"/user/{carried['id']}/")
        assert none["token"] == ""


@pytest.mark.parametrize("header", [f"token {API_KEY}", f"Bearer {API_KEY}", API_KEY])
async def test_where_a_key_is_needed_either_form_does(open_site: Open, header: str) -> None:
    async with open_site(tmpnb={"api_auth_required": True}) as site:
        await spawned(site, headers={"Authorization": header})


@pytest.mark.parametrize("header", [None, "token wrong", "wrong", "Basic x", "token é"])
async def test_where_a_key_is_needed_nothing_else_does(open_site: Open, header: str | None) -> None:
    async with open_site(tmpnb={"api_auth_required": True}) as site:
        headers = {"Authorization": header} if header else {}

        response = await site.client.post("/api/spawn", headers=headers)

        assert (response.status, (await response.json())["type"]) == (403, "forbidden")


@pytest.mark.parametrize("path", ["/api/stats", "/api/stats/"])
async def test_stats_are_open_to_all(site: Site, path: str) -> None:
    body = await (await site.get(path)).json()

    assert (body["available"], body["capacity"], body["container_image"]) == (1, 3, "lab:1")
    assert body["templates"]["lab"]["available"] == 1


async def test_old_paths_lead_to_the_stats(site: Site) -> None:
    response = await site.get("/stats")

    assert (response.status, response.headers["Location"]) == (301, "/api/stats")


async def test_a_drained_pool_fills_again(site: Site) -> None:
    (spare,) = await site.service.environments()

    response = await site.client.delete("/api/pool", headers=KEY)

    assert await response.json() == {"drained": 1}

    async def is_replaced() -> bool:
        ready = [o.id for o in await site.service.environments() if o.phase is Phase.READY]
        return bool(ready) and ready != [spare.id]

    await eventually(is_replaced)


async def test_draining_needs_the_key(site: Site) -> None:
    response = await site.client.delete("/api/pool")

    assert response.status == 403
    assert (await site.pool("lab")).spares == 1


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/spawn", 405),
        ("HEAD", "/api/spawn", 405),
        ("HEAD", "/api/stats", 200),
        ("HEAD", "/", 200),
        ("HEAD", "/healthz", 200),
        ("DELETE", "/api/stats", 405),
        ("GET", "/api/nothing", 404),
        ("GET", "/nothing", 404),
        ("POST", "/", 405),
    ],
)
async def test_methods_and_paths_are_told_apart(
    site: Site, method: str, path: str, status: int
) -> None:
    response = await site.client.request(method, path)

    assert response.status == status
    if status == 405:
        assert response.headers["Allow"]
    if method != "HEAD":
        assert (await response.json())["type"] in ("not_found", "method_not_allowed")
