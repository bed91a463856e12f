"""Limits as callers meet them: by address and by key, at every way in."""

from http.cookies import Morsel
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from spawner.model import Phase, Pool
from tests.components import require
from tests.integration.web.conftest import API_KEY, LAB, Open, Site
from tests.serving import PERL, TINY_SERVER, Serving

FROM = "X-Forwarded-For"
ADA = {FROM: "192.0.2.1"}
BOB = {FROM: "192.0.2.2"}
KEY = {"Authorization": f"token {API_KEY}"}
POOL = Pool(size=6, spare=2)
ONE = {"environments": 1}
TINY = f"""
backend = "process"
on_exit = "stop"
[templates.tiny]
command = ["{PERL}", "{TINY_SERVER}"]
[pools.tiny]
size = 6
"""


async def spawn(site: Site, **headers: str) -> tuple[int, Any, "aiohttp.typedefs.LooseHeaders"]:
    response = await site.client.post("/api/spawn", headers=headers)
    return response.status, await response.json(), response.headers


async def statuses(site: Site, *callers: dict[str, str]) -> list[int]:
    return [(await spawn(site, **caller))[0] for caller in callers]


def cookie_of(response: aiohttp.ClientResponse) -> str:
    (cookie,) = response.cookies.values()
    assert isinstance(cookie, Morsel)
    return f"{cookie.key}={cookie.value}"


async def in_use(site: Site) -> int:
    return (await site.pool("lab")).counts.get(Phase.ASSIGNED, 0)


async def test_each_address_has_its_own_limit(open_site: Open) -> None:
    async with open_site(pool=POOL, limits=ONE) as site:
        assert await statuses(site, ADA, ADA, BOB, BOB) == [200, 429, 200, 429]
        assert await in_use(site) == 2


async def test_what_a_limited_program_reads(open_site: Open) -> None:
    """Old Thebe looks at "status" alone, and knows "full"."""
    async with open_site(pool=POOL, limits={"launches_per_hour": 1}) as site:
        await spawn(site, **ADA)

        status, body, headers = await spawn(site, **ADA)

        assert status == 429
        assert body["status"] == "full"
        assert (body["type"], body["limit"]) == ("limited", "launches_per_hour")
        assert "within an hour" in body["error"]
        assert 3590 <= int(headers["Retry-After"]) <= 3600


async def test_a_network_of_ipv6_is_one_caller(open_site: Open) -> None:
    async with open_site(pool=POOL, limits=ONE) as site:
        callers = ("2001:db8:0:1::1", "2001:db8:0:1:aaaa::9", "2001:db8:0:2::1")

        found = await statuses(site, *({FROM: address} for address in callers))

        assert found == [200, 429, 200]


async def test_an_ipv4_address_written_as_ipv6_is_the_ipv4_address(open_site: Open) -> None:
    async with open_site(pool=POOL, limits=ONE) as site:
        mapped = {FROM: "::ffff:192.0.2.1"}, {FROM: "::ffff:192.0.2.2"}

        assert await statuses(site, ADA, mapped[0], mapped[1]) == [200, 429, 200]


async def test_who_shows_a_key_counts_as_the_key_wherever_it_is(open_site: Open) -> None:
    async with open_site(pool=POOL, limits={**ONE, "key_environments": 2}) as site:
        await spawn(site, **ADA)

        found = await statuses(site, ADA | KEY, BOB | KEY, ADA | KEY, ADA, BOB)

        assert found == [200, 200, 429, 429, 200]


async def test_a_wrong_key_is_no_key(open_site: Open) -> None:
    async with open_site(pool=POOL, limits=ONE) as site:
        wrong = ADA | {"Authorization": "token nonsense"}

        assert await statuses(site, wrong, ADA) == [200, 429]


async def test_all_together_have_a_limit_that_no_list_lifts(open_site: Open) -> None:
    limits = {"total": 2, "allow": ["192.0.2.0/24"]}
    async with open_site(pool=POOL, limits=limits) as site:
        assert await statuses(site, ADA, BOB) == [200, 200]

        status, body, _ = await spawn(site, **ADA)

        assert (status, body["limit"]) == (429, "total")


async def test_an_allowed_network_has_no_limit_of_its_own(open_site: Open) -> None:
    async with open_site(pool=POOL, limits={**ONE, "allow": ["192.0.2.1"]}) as site:
        assert await statuses(site, ADA, ADA, BOB, BOB) == [200, 200, 200, 429]


async def test_loopback_is_allowed_where_nothing_is_said(open_site: Open) -> None:
    async with open_site(pool=POOL, limits={"launches_per_hour": 1}) as site:
        here = {FROM: "127.0.0.1"}, {FROM: "::1"}

        assert await statuses(site, *here, *here) == [200] * 4


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/spawn"),
        ("POST", "/api/spawn/"),
        ("GET", "/launch/lab"),
        ("GET", "/launch/lab?new=1"),
        ("GET", "/spawn"),
        ("GET", "/spawn/tree/x.ipynb"),
        ("GET", "/spawn/user/ada/tree"),
    ],
)
async def test_every_way_in_has_the_limit(open_site: Open, method: str, path: str) -> None:
    async with open_site(pool=POOL, limits=ONE, tmpnb={"adhoc": True}) as site:
        await spawn(site, **ADA)

        response = await site.client.request(method, path, headers=ADA, allow_redirects=False)

        assert response.status == 429
        assert await in_use(site) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/spawn"),
        ("GET", "/launch/lab"),
        ("GET", "/spawn"),
        ("GET", "/spawn/user/ada"),
        ("GET", "/tree/x.ipynb"),
        ("GET", "/wait/abc"),
        ("GET", "/wait/abc/events"),
        ("GET", "/"),
        ("GET", "/api/stats"),
    ],
)
async def test_a_banned_network_is_refused_everywhere(
    open_site: Open, method: str, path: str
) -> None:
    limits = {"ban": ["192.0.2.0/24"]}
    async with open_site(pool=POOL, limits=limits, tmpnb={"adhoc": True}) as site:
        await site.has_spares(2)

        response = await site.client.request(method, path, headers=ADA, allow_redirects=False)

        assert response.status == 403
        assert (await response.json())["type"] == "banned"
        assert await in_use(site) == 0
        assert (await site.pool("lab")).spares == 2


async def test_a_ban_leaves_health_others_and_keys_alone(open_site: Open) -> None:
    async with open_site(pool=POOL, limits={"ban": ["192.0.2.1"]}) as site:
        assert (await site.get("/healthz", **ADA)).status == 200
        assert (await site.get("/static/site.css", **ADA)).status != 403
        assert await statuses(site, ADA, BOB, ADA | KEY) == [403, 200, 200]


async def test_a_banned_visitor_reads_why(open_site: Open) -> None:
    async with open_site(limits={"ban": ["192.0.2.1"]}) as site:
        response = await site.visit("/launch/lab", **ADA)

        assert response.status == 403
        assert "closed to your network" in await response.text()


async def test_a_visitor_is_told_of_the_limit_and_led_to_what_they_have(open_site: Open) -> None:
    async with open_site(pool=POOL, limits=ONE) as site:
        await site.has_spares(2)
        first = await site.visit("/launch/lab", **ADA)

        response = await site.visit("/launch/lab?new=1", **ADA, Cookie=cookie_of(first))

        page = await response.text()
        assert response.status == 429
        assert "No more for now" in page
        assert 'href="/launch/lab"' in page
        assert "Back to The Lab" in page
        assert "data-retry-after-s" not in page
        back = await site.visit("/launch/lab", **ADA, Cookie=cookie_of(first))
        assert back.headers["Location"] == first.headers["Location"]


async def test_a_limited_visitor_without_one_is_led_to_the_start(open_site: Open) -> None:
    async with open_site(pool=POOL, limits={"launches_per_hour": 1}) as site:
        await spawn(site, **ADA)

        page = await (await site.visit("/launch/lab", **ADA)).text()

        assert "The next can be had in 60 minutes." in page
        assert "/launch/" not in page
        assert 'href="/"' in page


async def test_when_all_places_are_taken_the_page_tries_again(open_site: Open) -> None:
    async with open_site(pool=POOL, limits={"total": 1}) as site:
        await spawn(site, **ADA)

        page = await (await site.visit("/launch/lab", **BOB)).text()

        assert "data-retry-after-s" in page


async def test_a_refusal_is_logged_without_an_address(
    open_site: Open, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with open_site(pool=POOL, limits=ONE) as site:
        await statuses(site, ADA, ADA)

        (line,) = [
            record.__dict__
            for record in caplog.records
            if record.__dict__.get("event") == "launch.limited"
        ]
        assert (line["limit"], line["template"]) == ("environments", LAB.name)
        assert len(line["caller"]) == 8
        assert "192.0.2" not in str(line)


async def edge_statuses(serving: Serving, *lines: str) -> list[int]:
    """Spawn over the real port with each ``X-Forwarded-For``."""
    found = []
    for line in lines:
        headers = {FROM: line} if line else {}
        async with serving.session.post(f"{serving.url}/api/spawn", headers=headers) as response:
            await response.read()
            found.append(response.status)
    return found


async def test_what_an_untrusted_peer_says_of_its_address_changes_nothing(tmp_path: Path) -> None:
    require("redis-server")
    limits = '[limits]\nenvironments = 2\nallow = []\nban = ["198.51.100.0/24"]\n'
    async with Serving(tmp_path, TINY + limits) as serving:
        found = await edge_statuses(serving, "", "192.0.2.1", "192.0.2.2", "198.51.100.7")

        assert found == [200, 200, 429, 429]


async def test_behind_trusted_proxies_the_client_is_who_the_first_of_them_saw(
    tmp_path: Path,
) -> None:
    require("redis-server")
    more = (
        '[proxy]\ntrusted_proxies = ["127.0.0.0/8", "10.0.0.0/8"]\n'
        '[limits]\nenvironments = 1\nban = ["198.51.100.0/24"]\n'
    )
    async with Serving(tmp_path, TINY + more) as serving:
        found = await edge_statuses(
            serving,
            "192.0.2.1",
            "203.0.113.1, 192.0.2.1",
            "203.0.113.2, 192.0.2.1, 10.0.0.3",
            "192.0.2.2",
            "192.0.2.3, 198.51.100.7, 10.0.0.3",
            "198.51.100.7, 192.0.2.3",
        )

        assert found == [200, 429, 429, 200, 403, 200]
