"""Keys over HTTP: who may make them, what each opens, and what is open without one."""

from typing import Any

import pytest

from tests.integration.web.conftest import API_KEY, Open, Site

OPERATOR = {"Authorization": API_KEY}
PATH = "/api/keys"


async def made(site: Site, *scopes: str, **more: Any) -> str:
    body = {"name": "ci", "scopes": scopes, **more}
    response = await site.client.post(PATH, json=body, headers=OPERATOR)
    assert response.status == 200, await response.text()
    return str((await response.json())["key"])


async def test_a_made_key_is_shown_once(site: Site) -> None:
    key = await made(site, "build", "pool", life="30d")

    listed = await (await site.client.get(PATH, headers=OPERATOR)).json()

    (shown,) = listed["keys"]
    assert key.startswith("tmpenv_ci_")
    assert (shown["name"], shown["scopes"], shown["expired"]) == ("ci", ["build", "pool"], False)
    assert shown["expires_at"].endswith("Z")
    assert key not in str(listed)


@pytest.mark.parametrize("form", ["{}", "token {}", "Bearer {}", "TOKEN {}"])
async def test_a_key_of_scope_admin_opens_what_the_operators_does(site: Site, form: str) -> None:
    key = await made(site, "admin")

    response = await site.client.get(
        "/api/environments", headers={"Authorization": form.format(key)}
    )

    assert response.status == 200


@pytest.mark.parametrize("scope", ["build", "template", "pool", "launch"])
async def test_no_other_key_opens_that(site: Site, scope: str) -> None:
    key = await made(site, scope)

    for path in (PATH, "/api/environments", "/api/catalogue"):
        response = await site.client.get(path, headers={"Authorization": key})

        assert response.status == 403


async def test_where_launching_needs_a_key_one_of_scope_launch_does(open_site: Open) -> None:
    async with open_site(api={"open": ["read"]}) as site:
        await site.has_spares(1)
        launcher = await made(site, "launch")
        other = {"name": "other", "scopes": ["build"]}
        answer = await site.client.post(PATH, json=other, headers=OPERATOR)
        builder = (await answer.json())["key"]

        statuses = [
            (await site.client.post("/api/spawn", headers={"Authorization": key})).status
            for key in ("", builder, launcher)
        ]

        assert statuses == [403, 403, 200]
        assert (await site.client.get("/launch/lab", allow_redirects=False)).status == 403


async def test_a_revoked_key_opens_nothing(site: Site) -> None:
    key = await made(site, "admin")

    gone = await site.client.delete(f"{PATH}/ci", headers=OPERATOR)
    again = await site.client.delete(f"{PATH}/ci", headers=OPERATOR)

    assert (gone.status, again.status) == (200, 404)
    assert (await site.client.get(PATH, headers={"Authorization": key})).status == 403


async def test_a_name_is_taken_once(site: Site) -> None:
    await made(site, "build")

    body = {"name": "ci", "scopes": ["admin"]}
    response = await site.client.post(PATH, json=body, headers=OPERATOR)

    assert (response.status, (await response.json())["type"]) == (409, "key_exists")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "name, scopes"),
        ({"name": "ci", "scopes": []}, "scopes"),
        ({"name": "ci", "scopes": ["everything"]}, "scopes"),
        ({"name": "ci", "scopes": ["read"]}, "any key reads"),
        ({"name": "a_b", "scopes": ["build"]}, "name"),
        ({"name": "ci", "scopes": ["build"], "life": "soon"}, "no duration"),
        ({"name": "ci", "scopes": ["build"], "life": 0}, "from 1s"),
        ({"name": "ci", "scopes": ["build"], "life": 1e300}, "longer than time"),
        ({"name": "ci", "scopes": ["build"], "life": "9" * 400}, "longer than time"),
        ({"name": "ci", "scopes": ["build"], "colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_made_is_told(site: Site, body: dict[str, Any], told: str) -> None:
    response = await site.client.post(PATH, json=body, headers=OPERATOR)

    answer = await response.json()
    assert (response.status, answer["type"]) == (422, "malformedRequest")
    assert told in answer["error"]


async def test_limits_count_each_key_for_itself(open_site: Open) -> None:
    async with open_site(limits={"key_environments": 1}) as site:
        await site.has_spares(1)
        key = {"Authorization": await made(site, "launch")}

        first = await site.client.post("/api/spawn", headers=key)
        second = await site.client.post("/api/spawn", headers=key)

        assert (first.status, second.status) == (200, 429)
        await site.has_spares(1)
        assert (await site.client.post("/api/spawn", headers=OPERATOR)).status == 200
