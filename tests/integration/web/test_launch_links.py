"""Links that launch: redirects, returning visitors, and who is no visitor."""

import asyncio
import re

import pytest

from spawner.backends.memory_faults import NeverReady
from spawner.model import Auth, Phase, Pool, Template
from tests.integration.web.conftest import Open, Site
from tests.waiting import eventually

ENVIRONMENT = re.compile(r"/user/([a-z0-9]+)/(.*)")


def landed(location: str) -> tuple[str, str]:
    found = ENVIRONMENT.fullmatch(location)
    assert found, location
    return found[1], found[2]


async def test_a_click_leads_into_a_running_environment(site: Site) -> None:
    response = await site.visit("/launch/lab?urlpath=lab/tree/a%20b.ipynb%3Fx=1")

    assert response.status == 302
    environment_id, path = landed(response.headers["Location"])
    assert path == "lab/tree/a%20b.ipynb?x=1"
    environment = await site.service.find(environment_id)
    assert environment is not None
    assert environment.phase is Phase.ASSIGNED
    assert response.headers["Cache-Control"] == "no-store"


async def test_without_a_path_the_template_says_where_to_land(site: Site) -> None:
    response = await site.visit("/launch/lab")

    assert landed(response.headers["Location"])[1] == "lab"


async def test_a_returning_visitor_comes_back_to_their_environment(site: Site) -> None:
    first = await site.visit("/launch/lab")
    cookie = first.cookies["tmpenv-lab"]

    again = await site.visit("/launch/lab?urlpath=tree", Cookie=f"tmpenv-lab={cookie.value}")

    assert landed(again.headers["Location"]) == (cookie.value, "tree")
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert not cookie["secure"]


async def test_a_cookie_is_secure_where_the_visitor_came_over_tls(site: Site) -> None:
    response = await site.visit("/launch/lab", **{"X-Forwarded-Proto": "https"})

    assert response.cookies["tmpenv-lab"]["secure"]


async def test_a_visitor_who_asks_for_a_new_one_gets_it(site: Site) -> None:
    first = landed((await site.visit("/launch/lab")).headers["Location"])[0]
    await site.has_spares(1)

    again = await site.visit("/launch/lab?new=1", Cookie=f"tmpenv-lab={first}")

    assert landed(again.headers["Location"])[0] != first


async def test_a_visitor_whose_environment_ended_gets_another(site: Site) -> None:
    first = landed((await site.visit("/launch/lab")).headers["Location"])[0]
    await site.has_spares(1)
    await site.service.stop(first)

    again = await site.visit("/launch/lab", Cookie=f"tmpenv-lab={first}")

    assert landed(again.headers["Location"])[0] != first


async def test_a_cookie_that_names_a_spare_is_no_claim_to_it(site: Site) -> None:
    (spare,) = [one for one in await site.service.environments() if one.phase is Phase.READY]

    await site.visit("/launch/lab", Cookie=f"tmpenv-lab={spare.id}")

    taken = await site.service.find(spare.id)
    assert taken is not None
    # Handed out in one step of the store, not merely led to.
    assert taken.phase is Phase.ASSIGNED


@pytest.mark.parametrize(
    "headers",
    [{"Sec-Purpose": "prefetch"}, {"Purpose": "prefetch"}, {"Sec-Fetch-Dest": "image"}],
)
async def test_what_is_no_visit_takes_nothing(site: Site, headers: dict[str, str]) -> None:
    response = await site.visit("/launch/lab", **headers)

    assert response.status in (403, 503)
    assert (await site.pool("lab")).counts.get(Phase.ASSIGNED, 0) == 0


@pytest.mark.parametrize("path", ["/launch/lab", "/spawn", "/spawn/tree/x"])
async def test_a_head_request_takes_nothing(site: Site, path: str) -> None:
    response = await site.client.head(path, allow_redirects=False)

    assert response.status == 200
    assert (await site.pool("lab")).counts.get(Phase.ASSIGNED, 0) == 0


@pytest.mark.parametrize("urlpath", ["//evil.example", "..%2F..%2Fx", "https:%2F%2Fx", "%5Cx"])
async def test_a_link_that_leads_out_is_refused_before_anything_is_taken(
    site: Site, urlpath: str
) -> None:
    response = await site.get(f"/launch/lab?urlpath={urlpath}")

    assert response.status == 400
    assert (await response.json())["type"] == "bad_urlpath"
    assert (await site.pool("lab")).counts.get(Phase.ASSIGNED, 0) == 0


async def test_a_template_that_is_not_there_is_a_page_or_json(site: Site) -> None:
    page = await site.visit("/launch/nothing")
    data = await site.get("/launch/nothing")

    assert (page.status, page.content_type) == (404, "text/html")
    assert (data.status, (await data.json())["type"]) == (404, "unknown_template")


async def test_with_auth_url_the_token_is_in_the_link(open_site: Open) -> None:
    template = Template(name="lab", auth=Auth.URL)
    async with open_site(templates=(template,)) as site:
        await site.has_spares(1)

        response = await site.visit("/launch/lab?urlpath=lab%3Fx=1%23f")

        environment_id, path = landed(response.headers["Location"])
        assert path == f"lab?x=1&token={site.service.token(environment_id)}#f"


async def test_a_full_pool_is_a_page_that_comes_back_by_itself(open_site: Open) -> None:
    async with open_site(pool=Pool(size=1)) as site:
        await site.has_spares(1)
        await site.visit("/launch/lab")

        response = await site.visit("/launch/lab")

        assert response.status == 429
        assert int(response.headers["Retry-After"]) >= 5
        assert "data-retry-after-s" in await response.text()


async def test_deep_links_keep_path_and_query(site: Site) -> None:
    deep = await site.visit("/notebooks/a%20b/x.ipynb?reset&y=1")
    assert deep.headers["Location"] == "/spawn/notebooks/a%20b/x.ipynb?reset&y=1"

    spawned = await site.visit(deep.headers["Location"] + "&template=lab")

    assert landed(spawned.headers["Location"])[1] == "notebooks/a%20b/x.ipynb?reset&y=1"


@pytest.mark.parametrize("path", ["/spawn", "/spawn/"])
async def test_spawn_leads_where_the_template_says(site: Site, path: str) -> None:
    response = await site.visit(path)

    assert landed(response.headers["Location"])[1] == "lab"


async def test_an_ad_hoc_link_is_refused_unless_switched_on(site: Site) -> None:
    response = await site.get("/spawn/user/ada/tree")

    assert response.status == 403
    assert (await response.json())["type"] == "adhoc_disabled"


async def test_an_ad_hoc_link_leads_to_the_running_one_or_a_fresh_one(open_site: Open) -> None:
    async with open_site(tmpnb={"adhoc": True}) as site:
        await site.has_spares(1)
        first = landed((await site.visit("/spawn/user/ada/tree/x")).headers["Location"])
        await site.has_spares(1)

        again = landed((await site.visit(f"/spawn/user/{first[0]}/tree/y")).headers["Location"])

        assert first[0] != "ada"
        assert first[1] == "tree/x"
        assert again == (first[0], "tree/y")


async def test_where_only_the_api_hands_out_links_do_not(open_site: Open) -> None:
    async with open_site(tmpnb={"api_auth_required": True}) as site:
        await site.has_spares(1)

        answers = [await site.visit(path) for path in ("/", "/launch/lab", "/spawn", "/tree/x")]

        assert [answer.status for answer in answers] == [403] * 4
        assert (await site.get("/api/stats")).status == 200


async def test_a_visitor_who_has_to_wait_goes_on_when_it_is_ready(open_site: Open) -> None:
    async with open_site(pool=Pool(size=1, spare=0)) as site:
        first = await site.visit("/launch/lab?urlpath=tree/x")
        location = first.headers["Location"]
        assert location.startswith("/wait/")
        events = await site.get(location.split("?")[0] + "/events")
        assert events.content_type == "text/event-stream"
        assert (await events.text()).endswith("event: done\ndata: {}\n\n")

        last = await site.visit(location)

        assert last.status == 302
        assert landed(last.headers["Location"])[1] == "tree/x"
        assert "tmpenv-lab" in last.cookies


async def test_the_waiting_page_shows_the_place_and_works_without_scripts(open_site: Open) -> None:
    never_ready = Template(name="lab", title="The Lab", ready_path="never", start_timeout=60)
    async with open_site(
        templates=(never_ready,), pool=Pool(size=3, spare=0), backend=NeverReady()
    ) as site:
        await site.visit("/launch/lab")
        second = await site.visit("/launch/lab")

        page = await (await site.visit(second.headers["Location"])).text()

        assert "You are number 2 in the queue." in page
        assert '<noscript><meta http-equiv="refresh"' in page


async def test_a_launch_that_was_given_up_says_so_and_leads_on(site: Site) -> None:
    response = await site.visit("/wait/nosuchticket?template=lab&urlpath=tree/x")

    assert response.status == 410
    assert 'href="/launch/lab?urlpath=tree/x"' in await response.text()


async def test_the_events_of_a_launch_that_was_given_up_end_at_once(site: Site) -> None:
    events = await site.get("/wait/nosuchticket/events")

    assert "event: done" in await events.text()


async def test_a_waiting_launch_ends_when_the_client_of_the_api_goes_away(open_site: Open) -> None:
    async with open_site(
        templates=(Template(name="lab", start_timeout=60),),
        pool=Pool(size=3, spare=0),
        backend=NeverReady(),
    ) as site:
        call = asyncio.create_task(site.client.post("/api/spawn"))

        async def waits() -> bool:
            return (await site.pool("lab")).waiting == 1

        await eventually(waits)
        call.cancel()

        async def is_given_up() -> bool:
            return (await site.pool("lab")).waiting == 0

        await eventually(is_given_up)
