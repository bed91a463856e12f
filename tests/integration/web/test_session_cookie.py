"""auth "cookie": an environment is for the browser that was given it, link or not."""

import re
from collections.abc import AsyncIterator

import pytest

from spawner.model import Auth, Phase, Pool, Template
from tests.integration.web.conftest import API_KEY, Open, Site

LAB = Template(name="lab", auth=Auth.COOKIE)
LOCATION = re.compile(r"/user/([a-z0-9]+)/lab\?tmpenv-pass=\d+-[0-9a-f]{64}")


@pytest.fixture
async def site(open_site: Open) -> AsyncIterator[Site]:
    async with open_site(templates=(LAB,)) as site:
        await site.has_spares(1)
        yield site


def given(location: str) -> str:
    found = LOCATION.fullmatch(location)
    assert found, location
    return found[1]


async def test_a_click_leads_there_with_a_pass(site: Site) -> None:
    response = await site.visit("/launch/lab")

    environment_id = given(response.headers["Location"])
    token, session = site.service.token(environment_id), site.service.session(environment_id)
    assert token not in response.headers["Location"]
    assert session not in response.headers["Location"]
    assert token != session


async def test_its_browser_comes_back_to_it(site: Site) -> None:
    first = await site.visit("/launch/lab")
    cookie = f"tmpenv-lab={first.cookies['tmpenv-lab'].value}"

    again = await site.visit("/launch/lab", Cookie=cookie)

    assert given(again.headers["Location"]) == given(first.headers["Location"])


@pytest.mark.parametrize("claim", ["{id}", "{id}.", "{id}.{token}", "{id}.{session}x"])
async def test_who_merely_knows_its_id_gets_another(site: Site, claim: str) -> None:
    environment_id = given((await site.visit("/launch/lab")).headers["Location"])
    await site.has_spares(1)
    value = claim.format(
        id=environment_id,
        token=site.service.token(environment_id),
        session=site.service.session(environment_id),
    )

    response = await site.visit("/launch/lab", Cookie=f"tmpenv-lab={value}")

    assert given(response.headers["Location"]) != environment_id


async def test_an_ad_hoc_link_brings_back_its_own_browser_alone(open_site: Open) -> None:
    async with open_site(templates=(LAB,), pool=Pool(size=3), tmpnb={"adhoc": True}) as site:
        await site.has_spares(3)
        first = await site.visit("/launch/lab")
        environment_id = given(first.headers["Location"])
        cookie = f"tmpenv-lab={first.cookies['tmpenv-lab'].value}"

        link = f"/spawn/user/{environment_id}/lab"
        stranger = await site.visit(link)
        owner = await site.visit(link, Cookie=cookie)

        assert given(stranger.headers["Location"]) != environment_id
        assert given(owner.headers["Location"]) == environment_id


async def test_on_a_host_of_its_own_the_pass_leads_there(open_site: Open) -> None:
    async with open_site(templates=(LAB,), environments_domain="envs.example") as site:
        await site.has_spares(1)

        response = await site.visit("/launch/lab", **{"X-Forwarded-Host": "lab.example"})

        origin, path = response.headers["Location"].split("/user/")
        assert origin == f"http://{given('/user/' + path)}.envs.example"


async def test_under_a_mount_the_pass_leads_there_and_the_browser_comes_back(
    open_site: Open,
) -> None:
    async with open_site(templates=(LAB,), base_url="/lab1/") as site:
        await site.has_spares(1)

        first = await site.visit("/lab1/launch/lab")
        cookie = f"tmpenv-lab={first.cookies['tmpenv-lab'].value}"
        again = await site.visit("/lab1/launch/lab", Cookie=cookie)

        locations = [one.headers["Location"] for one in (first, again)]
        assert all(location.startswith("/lab1/user/") for location in locations)
        assert len({given(location.removeprefix("/lab1")) for location in locations}) == 1


async def test_a_script_gets_the_token_and_a_plain_url(site: Site) -> None:
    body = await (await site.client.post("/api/spawn")).json()

    assert body["url"] == f"/user/{body['id']}/"
    assert body["token"] == site.service.token(body["id"])


async def test_it_is_shown_and_ended_with_its_token_or_the_api_key_alone(site: Site) -> None:
    body = await (await site.client.post("/api/spawn")).json()
    path = f"/api/environments/{body['id']}"
    session = site.service.session(body["id"])

    statuses = [
        (await site.get(path, **headers)).status
        for headers in (
            {},
            {"Authorization": f"token {session}"},
            {"Authorization": f"token {body['token']}"},
            {"Authorization": f"token {API_KEY}"},
        )
    ]
    refused = await site.client.delete(path)

    assert statuses == [403, 403, 200, 200]
    assert refused.status == 403
    found = await site.service.find(body["id"])
    assert found is not None
    assert found.phase is Phase.ASSIGNED
