"""Builds over HTTP, as the Binder API has them."""

import re
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from spawner.builder.model import Outcome
from spawner.errors import BackendUnavailable, SourceUnavailable
from tests.integration.web.building import COMMIT, REPOSITORY, MemoryBuilds
from tests.integration.web.conftest import API_KEY, Open, Site

KEY = {"Authorization": API_KEY}
WRONG = {"Authorization": "another"}
ROOTS = ("/builds", "/builds/repo", "/builds/repos")
EVERY_ROOT = [f"{api}{root}" for api in ("", "/api") for root in ROOTS]
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Building:
    """A site that builds."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.builds = MemoryBuilds()
        site.service.builds = self.builds

    async def start(self, path: str = "/builds", **body: Any) -> aiohttp.ClientResponse:
        given = {"repository": REPOSITORY, **body}
        return await self.site.client.post(path, json=given, headers=KEY)

    async def build(self, name: str = "org-repo") -> dict[str, Any]:
        response = await self.site.get(f"/builds/{name}")
        assert response.status == 200
        built: dict[str, Any] = await response.json()
        return built


@pytest.fixture
async def building(open_site: Open) -> AsyncIterator[Building]:
    async with open_site() as site:
        yield Building(site)


async def told(response: aiohttp.ClientResponse) -> tuple[int, str]:
    body = await response.json()
    assert set(body) >= {"type", "error"}
    return response.status, body["type"]


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("root", EVERY_ROOT)
async def test_a_build_starts_and_is_shown_wherever_clients_look(
    building: Building, root: str, end: str
) -> None:
    started = await building.start(f"{root}{end}")
    shown = await building.site.get(f"{root}/org-repo{end}")
    status = await building.site.get(f"{root}/org-repo/status{end}")

    body = await started.json()
    assert (started.status, shown.status) == (200, 200)
    assert body == await shown.json()
    assert await status.json() == {"status": "pending"}
    assert body["name"] == body["image-name"] == "org-repo"
    assert body["repository"] == body["repo"] == REPOSITORY
    assert (body["display-name"], body["phase"], body["status"]) == (
        "Org/Repo",
        "queued",
        "running",
    )
    assert (body["commit"], body["dependencies"]) == (COMMIT, [])
    assert MOMENT.fullmatch(body["start-time"])
    assert "error" not in body


async def test_an_image_is_found_however_its_name_is_written(building: Building) -> None:
    await building.start()

    assert (await building.build("Org-Repo"))["name"] == "org-repo"


@pytest.mark.parametrize(
    "body",
    [
        {"repo": REPOSITORY},
        {"Repository": f" '{REPOSITORY}' "},
        {"repository": f'"{REPOSITORY}"', "force": "false"},
    ],
)
async def test_what_old_clients_send_is_understood(
    building: Building, body: dict[str, str]
) -> None:
    started = await building.site.client.post("/builds", json=body, headers=KEY)

    assert started.status == 200, await started.text()
    assert building.builds.asked[0]["repository"] == REPOSITORY
    assert building.builds.asked[0]["force"] is False


@pytest.mark.parametrize(("force", "meant"), [("true", True), ("false", False), (True, True)])
async def test_force_may_be_a_word(building: Building, force: object, meant: bool) -> None:
    await building.start(force=force, ref="main")

    assert building.builds.asked[0]["force"] is meant
    assert building.builds.asked[0]["ref"] == "main"


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        ({}, (422, "malformedRequest")),
        ({"repository": ""}, (422, "malformedRequest")),
        ({"repository": 7}, (422, "malformedRequest")),
        ({"repository": REPOSITORY, "force": "perhaps"}, (422, "malformedRequest")),
        ({"repository": REPOSITORY, "dependencies": ["setup.py"]}, (422, "malformedRequest")),
        ({"repository": REPOSITORY, "dependencies": "Dockerfile"}, (422, "malformedRequest")),
        ({"repository": "https://elsewhere.example.org/a/b"}, (422, "badRepoSource")),
    ],
)
async def test_what_cannot_be_built_is_refused_and_nothing_is_started(
    building: Building, body: dict[str, object], failure: tuple[int, str]
) -> None:
    refused = await building.site.client.post("/builds", json=body, headers=KEY)

    assert await told(refused) == failure
    assert building.builds.builds == {}


async def test_a_missing_repository_is_told_in_the_words_that_clients_know(
    building: Building,
) -> None:
    refused = await building.site.client.post("/builds", json={"force": True}, headers=KEY)

    assert (await refused.json())["error"] == (
        "Request does not contain the required parameters for this endpoint: repository"
    )


@pytest.mark.parametrize("failure", [SourceUnavailable("no answer"), BackendUnavailable("gone")])
async def test_what_gives_no_answer_is_asked_again_later(
    building: Building, failure: SourceUnavailable
) -> None:
    building.builds.failure = failure

    response = await building.start()

    assert response.status == 503
    assert int(response.headers["Retry-After"]) >= 1


async def test_starting_listing_and_removing_need_a_key_and_looking_does_not(
    building: Building,
) -> None:
    await building.start()
    client = building.site.client

    refused = [
        await client.post("/builds", json={"repository": REPOSITORY}),
        await client.post(
            "/builds", json={"repository": REPOSITORY}, headers={"Authorization": "x"}
        ),
        await client.get("/builds/"),
        await client.delete("/builds/org-repo"),
    ]

    assert [await told(one) for one in refused] == [(403, "unauthorized")] * 4
    assert (await refused[0].json())["error"] == "Unauthorized request"
    for path in ("", "/status", "/logs"):
        assert (await building.site.get(f"/builds/org-repo{path}")).status == 200


async def test_with_builds_open_no_key_is_needed(open_site: Open) -> None:
    async with open_site(api={"open": ["read", "build"]}) as site:
        building = Building(site)

        started = await site.client.post("/builds", json={"repository": REPOSITORY})

        assert started.status == 200
        assert (await site.get("/builds")).status == 200
        assert building.builds.asked


async def test_looking_needs_a_key_where_reading_is_not_open(open_site: Open) -> None:
    async with open_site(api={"open": []}) as site:
        building = Building(site)
        await building.start()

        assert await told(await site.get("/builds/org-repo")) == (403, "unauthorized")
        assert (await site.get("/builds/org-repo", **KEY)).status == 200


async def test_the_newest_build_is_listed_first(building: Building) -> None:
    assert await (await building.site.get("/builds/", **KEY)).json() == []
    await building.start()
    await building.start(repository="https://git.example.org/Org/Other")

    listed = await (await building.site.get("/builds", **KEY)).json()

    assert [one["name"] for one in listed] == ["org-other", "org-repo"]


@pytest.mark.parametrize("quote", ["", '"', "'"])
@pytest.mark.parametrize("root", EVERY_ROOT)
async def test_a_build_is_found_by_its_repository(
    building: Building, root: str, quote: str
) -> None:
    await building.start()

    found = await building.site.client.get(
        root, params={"repository": f"{quote}{REPOSITORY}{quote}", "utm_source": "mail"}
    )

    assert (found.status, (await found.json())["image-name"]) == (200, "org-repo")


async def test_a_repository_that_was_never_built_is_not_found(building: Building) -> None:
    found = await building.site.client.get("/builds", params={"repository": REPOSITORY})

    assert await told(found) == (404, "noBuildInfo")


@pytest.mark.parametrize("path", ["/builds/nosuch", "/builds/nosuch/status", "/builds/nosuch/logs"])
async def test_an_image_that_nobody_built_is_not_found(building: Building, path: str) -> None:
    response = await building.site.visit(path)

    assert await told(response) == (404, "noBuildInfo")
    assert (await response.json())["error"] == (
        "Could not get build information for requested image"
    )


@pytest.mark.parametrize(
    ("outcome", "error", "status", "told_error"),
    [
        (Outcome.COMPLETED, "", "completed", None),
        (Outcome.FAILED, "pip failed", "failed", "pip failed"),
        (Outcome.CANCELLED, "", "failed", "cancelled"),
    ],
)
async def test_what_came_of_a_build_is_told_in_the_words_of_the_api(
    building: Building, outcome: Outcome, error: str, status: str, told_error: str | None
) -> None:
    await building.start()

    await building.builds.end("org-repo", outcome, error)

    built = await building.build()
    short = await (await building.site.get("/builds/org-repo/status")).json()
    assert (built["status"], built["phase"], short["status"]) == (status, "finished", status)
    assert built.get("error") == told_error
    assert MOMENT.fullmatch(built["end-time"])


async def test_a_running_build_is_cancelled_and_one_that_is_over_removed(
    building: Building,
) -> None:
    await building.start()
    client = building.site.client

    first = await (await client.delete("/builds/Org-Repo", headers=KEY)).json()
    second = await (await client.delete("/builds/org-repo/", headers=KEY)).json()
    third = await client.delete("/builds/org-repo", headers=KEY)

    assert first == {"name": "org-repo", "cancelled": True, "removed": False}
    assert second == {"name": "org-repo", "cancelled": False, "removed": True}
    assert await told(third) == (404, "noBuildInfo")


async def test_the_answer_has_links_as_its_caller_reaches_them(open_site: Open) -> None:
    async with open_site(base_url="/lab1/") as site:
        building = Building(site)
        seen = {"X-Forwarded-Host": "lab.example.org", "X-Forwarded-Proto": "https"}

        started = await site.client.post(
            "/lab1/builds", json={"repository": REPOSITORY}, headers={**KEY, **seen}
        )

        links = (await started.json())["links"]
        assert building.builds.asked
        assert links["launch"] == "https://lab.example.org/lab1/launch/org-repo"
        assert set(links) == {"launch", "badge", "markdown", "rst", "html"}


async def test_where_nothing_builds_it_is_said(site: Site) -> None:
    response = await site.client.post("/builds", json={"repository": REPOSITORY}, headers=KEY)

    assert await told(response) == (501, "buildsUnavailable")
