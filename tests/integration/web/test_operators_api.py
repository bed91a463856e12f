"""Looking at environments and ending them; status; health."""

from typing import Any

import aiohttp
import pytest

from spawner.backends.memory_faults import LogBreaks, NeverReady, Unreachable
from spawner.model import Auth, Phase, Pool, Template
from tests.integration.web.conftest import API_KEY, Open, Site
from tests.redis_server import RedisServer
from tests.waiting import eventually
from web.api.logs import FOLLOWERS

KEY = {"Authorization": f"token {API_KEY}"}


async def handed_out(site: Site) -> str:
    return str((await (await site.client.post("/api/spawn")).json())["id"])


async def test_who_knows_the_id_may_look_and_end(site: Site) -> None:
    environment_id = await handed_out(site)

    shown = await (await site.get(f"/api/environments/{environment_id}")).json()
    ended = await (await site.client.delete(f"/api/environments/{environment_id}")).json()
    again = await (await site.client.delete(f"/api/environments/{environment_id}")).json()

    assert (shown["phase"], shown["template"]) == ("assigned", "lab")
    assert "token" not in shown
    assert ended == {"id": environment_id, "stopped": True}
    assert again == {"id": environment_id, "stopped": False}

    async def is_stopped() -> bool:
        view = await (await site.get(f"/api/environments/{environment_id}")).json()
        return bool(view["phase"] == "stopped" and view["reason"] == "stopped")

    await eventually(is_stopped)


async def test_an_id_nobody_knows_is_gone(site: Site) -> None:
    response = await site.get("/api/environments/nosuch")

    assert (response.status, (await response.json())["type"]) == (410, "gone")


async def test_with_auth_url_the_id_alone_is_not_enough(open_site: Open) -> None:
    async with open_site(templates=(Template(name="lab", auth=Auth.URL),)) as site:
        environment_id = await handed_out(site)
        path = f"/api/environments/{environment_id}"
        token = site.service.token(environment_id)

        statuses = [
            (await site.get(path, **headers)).status
            for headers in ({}, {"Authorization": f"token {token}"}, KEY)
        ]

        assert statuses == [403, 200, 200]


@pytest.mark.parametrize("path", ["/api/environments", "/api/status"])
async def test_the_whole_is_for_the_operator_alone(site: Site, path: str) -> None:
    assert (await site.get(path)).status == 403
    assert (await site.get(path, **KEY)).status == 200


async def test_the_status_shows_pools_and_environments(site: Site) -> None:
    environment_id = await handed_out(site)

    text = await (await site.get("/api/status", **KEY)).text()
    status = await (await site.get("/api/status", **KEY)).json()

    (pool,) = status["pools"]
    assert (pool["template"], pool["size"], pool["phases"]["assigned"]) == ("lab", 3, 1)
    assert environment_id in [one["id"] for one in status["environments"]]
    assert status["backend"]["name"] == "memory"
    assert site.service.token(environment_id) not in text


async def test_a_site_with_a_spare_is_ready(site: Site) -> None:
    body = await (await site.get("/readyz")).json()

    assert body == {"status": "ok", "store": "ok", "backend": "ok", "pools": {"lab": "ok"}}


async def test_a_pool_without_its_first_spare_is_not_ready(open_site: Open) -> None:
    async with open_site(
        templates=(Template(name="lab", start_timeout=60),), backend=NeverReady()
    ) as site:
        response = await site.get("/readyz")

        assert response.status == 503
        assert (await response.json())["pools"] == {"lab": "no spare is ready yet"}
        assert (await site.get("/healthz")).status == 200


async def test_a_pool_that_is_all_in_use_is_ready(open_site: Open) -> None:
    async with open_site(pool=Pool(size=1)) as site:
        await handed_out(site)

        assert (await site.get("/readyz")).status == 200


async def test_a_backend_that_does_not_answer_is_named(open_site: Open) -> None:
    async with open_site(backend=Unreachable()) as site:
        response = await site.get("/readyz")

        assert response.status == 503
        assert (await response.json())["backend"] == "The backend does not answer."


async def test_without_the_store_nothing_is_handed_out_and_the_page_still_shows(
    open_site_on: Open, own_redis: RedisServer
) -> None:
    async with open_site_on(own_redis) as site:
        await site.has_spares(1)
        own_redis.stop()

        spawn = await site.client.post("/api/spawn")
        launch = await site.visit("/launch/lab")
        front = await site.visit("/")
        ready = await site.get("/readyz")
        alive = await site.get("/healthz")

        assert (spawn.status, launch.status) == (503, 503)
        assert int(spawn.headers["Retry-After"]) >= 1
        assert (front.status, alive.status) == (200, 200)
        assert (ready.status, (await ready.json())["store"] != "ok") == (503, True)
        own_redis.start()

        async def serves() -> bool:
            return (await site.client.post("/api/spawn")).status == 200

        await eventually(serves)
        assert (await site.pool("lab")).counts[Phase.ASSIGNED] >= 1


async def followed(site: Site, environment_id: str) -> Any:
    return await site.client.get(f"/api/environments/{environment_id}/logs?follow=1", headers=KEY)


async def test_a_log_is_for_the_operator_alone(site: Site) -> None:
    environment_id = await handed_out(site)
    path = f"/api/environments/{environment_id}/logs"

    shown = await site.get(f"{path}?tail=1", **KEY)

    assert (await site.get(path)).status == 403
    assert (await site.get(f"{path}?tail=-1", **KEY)).status == 400
    assert (await site.get("/api/environments/nosuch/logs", **KEY)).status == 410
    assert (shown.status, await shown.text()) == (200, "listening\n")


async def test_a_log_is_followed_until_its_environment_ends(site: Site) -> None:
    environment_id = await handed_out(site)
    response = await followed(site, environment_id)

    site.backend.world.residents[environment_id].say("one")
    assert b"one\n" in await response.content.readuntil(b"one\n")
    await site.client.delete(f"/api/environments/{environment_id}")

    assert await response.content.read() == b""


async def test_so_many_may_follow_and_who_goes_makes_room(site: Site) -> None:
    environment_id = await handed_out(site)
    open_ones = [await followed(site, environment_id) for _ in range(FOLLOWERS)]

    refused = await followed(site, environment_id)
    open_ones[0].close()

    assert refused.status == 429
    assert (await refused.json())["type"] == "too_many_followers"

    async def has_room() -> bool:
        response = await followed(site, environment_id)
        open_ones.append(response)
        return bool(response.status == 200)

    assert await eventually(has_room)
    for response in open_ones:
        response.close()


async def test_a_log_that_breaks_off_is_not_taken_for_one_that_ended(open_site: Open) -> None:
    async with open_site(backend=LogBreaks()) as site:
        response = await followed(site, await handed_out(site))

        with pytest.raises(aiohttp.ClientPayloadError):
            await response.content.read()


async def test_a_survey_says_who_would_go_and_culling_ends_just_those(open_site: Open) -> None:
    pool = Pool(size=3, spare=0)
    long, short = (
        Template(name=name, idle_timeout=idle, start_timeout=5)
        for name, idle in (("long", "1h"), ("short", 0))
    )
    async with open_site(templates=(long, short), pool=pool) as site:
        stays, goes = [
            (await (await site.client.post("/api/spawn", json={"template": name})).json())["id"]
            for name in ("long", "short")
        ]

        refused = await site.get("/api/cull")
        survey = (await (await site.get("/api/cull", **KEY)).json())["environments"]
        culled = (await (await site.client.post("/api/cull", headers=KEY)).json())["environments"]

        assert refused.status == 403
        found = {one["id"]: one for one in survey}
        assert (found[stays]["goes"], found[stays]["reason"]) == (False, "")
        assert 3500 < found[stays]["due_in_s"] <= 3600
        assert (found[goes]["goes"], found[goes]["reason"]) == (True, "idle")
        assert not any(one["ended"] for one in survey)
        assert [one["id"] for one in culled if one["ended"]] == [goes]


async def test_a_survey_names_what_keeps_an_idle_environment(open_site: Open) -> None:
    lab = Template(name="lab", idle_timeout=0, start_timeout=5)
    async with open_site(templates=(lab,)) as site:
        environment_id = await handed_out(site)
        # It hangs up on whoever asks for its kernels.
        resident = site.backend.world.residents[environment_id]
        assert resident.server is not None
        resident.server.close()

        culled = (await (await site.client.post("/api/cull", headers=KEY)).json())["environments"]

        assert [(one["goes"], one["ended"], one["kept_by"]) for one in culled] == [
            (False, False, "its kernels do not answer")
        ]
