"""Hand-outs lead to the environment's own host where there is one."""

import pytest

from spawner.model import Pool
from tests.integration.web.conftest import API_KEY, Open

DOMAIN = {"environments_domain": "envs.example"}
SEEN = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "lab.example:8443"}


async def test_a_click_leads_to_the_environments_own_host(open_site: Open) -> None:
    async with open_site(**DOMAIN) as site:
        await site.has_spares(1)

        response = await site.visit("/launch/lab?urlpath=lab/tree/x.ipynb", **SEEN)

        cookie = response.cookies["tmpenv-lab"]
        base = f"https://{cookie.value}.envs.example:8443/user/{cookie.value}/"
        assert response.headers["Location"] == base + "lab/tree/x.ipynb"
        # It is the service's own, and of no use on the environment's host.
        assert not cookie["domain"]


async def test_a_returning_visitor_is_led_there_too(open_site: Open) -> None:
    async with open_site(**DOMAIN) as site:
        await site.has_spares(1)
        first = await site.visit("/launch/lab", **SEEN)
        cookie = f"tmpenv-lab={first.cookies['tmpenv-lab'].value}"

        again = await site.visit("/launch/lab", Cookie=cookie, **SEEN)

        assert again.headers["Location"] == first.headers["Location"]


async def test_who_had_to_wait_is_led_there_too(open_site: Open) -> None:
    async with open_site(pool=Pool(size=1, spare=0), **DOMAIN) as site:
        location = (await site.visit("/launch/lab", **SEEN)).headers["Location"]
        assert location.startswith("/wait/")
        await (await site.get(location.split("?")[0] + "/events")).text()

        last = await site.visit(location, **SEEN)

        assert ".envs.example:8443/user/" in last.headers["Location"]


async def test_a_spawn_tells_the_own_host_and_the_path_that_leads_there_as_well(
    open_site: Open,
) -> None:
    async with open_site(**DOMAIN) as site:
        await site.has_spares(1)

        body = await (await site.client.post("/api/spawn", headers=SEEN)).json()

        host, path = f"{body['id']}.envs.example:8443", f"/user/{body['id']}/"
        assert body["base_url"] == f"https://{host}{path}"
        assert body["ws_url"] == f"wss://{host}{path}"
        assert body["url"] == path


async def test_an_environment_is_shown_with_its_own_host(open_site: Open) -> None:
    async with open_site(**DOMAIN) as site:
        await site.has_spares(1)
        spawned = await (await site.client.post("/api/spawn", headers=SEEN)).json()

        key = {"Authorization": f"token {API_KEY}"}
        shown = await (await site.get(f"/api/environments/{spawned['id']}", **key, **SEEN)).json()

        assert shown["base_url"] == spawned["base_url"]


@pytest.mark.parametrize("host", ["lab.example", "[::1]", "127.0.0.1"])
async def test_without_a_port_there_is_none(open_site: Open, host: str) -> None:
    async with open_site(**DOMAIN) as site:
        await site.has_spares(1)

        response = await site.visit("/launch/lab", **{"X-Forwarded-Host": host})

        assert ".envs.example/user/" in response.headers["Location"]


async def test_under_a_mount_the_path_on_the_own_host_begins_with_it(open_site: Open) -> None:
    async with open_site(base_url="/a/lab.1/", **DOMAIN) as site:
        await site.has_spares(1)

        response = await site.visit("/a/lab.1/launch/lab?urlpath=lab/x", **SEEN)

        one = response.cookies["tmpenv-lab"]
        url = f"https://{one.value}.envs.example:8443/a/lab.1/user/{one.value}/lab/x"
        assert response.headers["Location"] == url
        assert one["path"] == "/a/lab.1/"


async def test_a_spawn_under_a_mount_tells_the_own_host_and_the_mount(open_site: Open) -> None:
    async with open_site(base_url="/a/lab.1/", **DOMAIN) as site:
        await site.has_spares(1)

        spawned = await site.client.post("/a/lab.1/api/spawn", headers=SEEN)
        body = await spawned.json()

        host, path = f"{body['id']}.envs.example:8443", f"/a/lab.1/user/{body['id']}/"
        assert body["base_url"] == f"https://{host}{path}"
        assert body["ws_url"] == f"wss://{host}{path}"
        assert body["url"] == path
