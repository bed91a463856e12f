"""Logs of builds over HTTP: as text, as JSON, as events; whole, in parts, and as they come."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from spawner.builder.model import Outcome
from spawner.errors import StoreUnavailable
from tests.integration.web.conftest import Open, Site
from tests.integration.web.test_binder_builds import KEY, Building, told
from tests.waiting import eventually
from web.api.logs import Followers
from web.dialects import binder_build_logs

LOG = "/builds/org-repo/logs"


@pytest.fixture
async def building(open_site: Open) -> AsyncIterator[Building]:
    async with open_site() as site:
        building = Building(site)
        await building.start()
        await building.builds.say("org-repo", "one", "<b>two</b>", "three")
        yield building


async def read(site: Site, query: str = "", **headers: str) -> aiohttp.ClientResponse:
    return await site.get(f"{LOG}{query}", **headers)


async def event(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Read one server-sent event."""
    fields: dict[str, str] = {}
    while line := (await response.content.readline()).decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        fields[name] = value
    return fields


async def test_a_log_is_text_that_no_browser_takes_for_a_page(building: Building) -> None:
    response = await building.site.visit(LOG)

    assert await response.text() == "one\n<b>two</b>\nthree\n"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "accept"), [("?format=ndjson", "*/*"), ("", "application/x-ndjson")]
)
async def test_a_log_is_lines_of_json_for_programs(
    building: Building, query: str, accept: str
) -> None:
    response = await read(building.site, query, Accept=accept)

    entries = [json.loads(line) for line in (await response.text()).splitlines()]
    assert response.content_type == "application/x-ndjson"
    assert [entry["text"] for entry in entries] == ["one", "<b>two</b>", "three"]
    assert [(entry["phase"], entry["step"], entry["steps"]) for entry in entries] == [
        ("building", 1, 3)
    ] * 3
    assert [entry["id"] for entry in entries] == ["1-0", "2-0", "3-0"]


@pytest.mark.parametrize(("query", "accept"), [("?format=sse", "*/*"), ("", "text/event-stream")])
async def test_events_follow_a_build_to_its_end(
    building: Building, query: str, accept: str
) -> None:
    response = await read(building.site, query, Accept=accept)

    seen = [await event(response) for _ in range(3)]
    await building.builds.say("org-repo", "four")
    fourth = await event(response)
    await building.builds.end("org-repo", Outcome.FAILED, "no")
    last = await event(response)

    assert response.content_type == "text/event-stream"
    assert [json.loads(one["data"])["text"] for one in (*seen, fourth)] == [
        "one",
        "<b>two</b>",
        "three",
        "four",
    ]
    assert [one["id"] for one in (*seen, fourth)] == ["1-0", "2-0", "3-0", "4-0"]
    assert (last["event"], json.loads(last["data"])["error"]) == ("end", "no")
    assert await response.content.read() == b""


async def test_a_reader_that_was_cut_off_goes_on_where_it_was(building: Building) -> None:
    await building.builds.end("org-repo")
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "2-0"}

    response = await read(building.site, "?after=1-0", **headers)

    assert (await event(response))["id"] == "3-0"
    assert (await event(response))["event"] == "end"


async def test_a_part_of_a_log_can_be_asked_for(building: Building) -> None:
    response = await read(building.site, "?after=1-0&limit=1")

    assert await response.text() == "<b>two</b>\n"


@pytest.mark.parametrize("kind", ["text", "ndjson"])
async def test_a_log_that_is_followed_comes_as_it_is_printed_and_ends_with_the_build(
    building: Building, kind: str
) -> None:
    response = await read(building.site, f"?follow=1&format={kind}")
    for _ in range(3):
        await response.content.readline()

    await building.builds.say("org-repo", "four")
    fourth = await response.content.readline()
    await building.builds.end("org-repo")

    assert b"four" in fourth
    assert await response.content.read() == b""


async def test_silence_is_broken_by_comments(
    building: Building, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binder_build_logs, "HEARTBEAT_S", 0.01)
    response = await read(building.site, "?format=sse&after=3-0")

    assert [await event(response) for _ in range(2)] == [{"": "still here"}] * 2
    response.close()


async def test_a_follower_that_goes_away_is_let_go(building: Building) -> None:
    response = await read(building.site, "?follow=1")
    following = building.site.client.app[binder_build_logs.FOLLOWING]
    assert (building.builds.followed, following.count) == (1, 1)

    response.close()

    async def is_free() -> bool:
        return building.builds.followed == following.count == 0

    await eventually(is_free)


async def test_only_so_many_may_follow(building: Building) -> None:
    following: Followers = building.site.client.app[binder_build_logs.FOLLOWING]
    following.most = 1
    first = await read(building.site, "?follow=1")

    second = await read(building.site, "?follow=1")
    whole = await read(building.site)

    assert await told(second) == (429, "too_many_followers")
    assert whole.status == 200
    first.close()


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("?after=nothing", {}),
        ("?after=1-0-0", {}),
        ("?after=%D9%A1-0", {}),
        ("?after=99999999999999999999-0", {}),
        ("?limit=0", {}),
        ("?limit=many", {}),
        ("?format=xml", {}),
        ("?follow=perhaps", {}),
        ("?limit=1&limit=2", {}),
        ("", {"Last-Event-ID": "x"}),
    ],
)
async def test_what_is_asked_wrongly_is_refused(
    building: Building, query: str, headers: dict[str, str]
) -> None:
    assert await told(await read(building.site, query, **headers)) == (422, "malformedRequest")


async def test_a_log_that_breaks_off_is_not_taken_for_one_that_ended(
    building: Building, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any, **__: Any) -> AsyncIterator[Any]:
        async for entry in log(building.builds.builds["org-repo"]):
            yield entry
        raise StoreUnavailable

    log = building.builds.log
    monkeypatch.setattr(building.builds, "log", breaks)
    response = await read(building.site)

    with pytest.raises(aiohttp.ClientPayloadError):
        await response.read()


async def test_a_log_has_no_head(building: Building) -> None:
    response = await building.site.client.head(LOG, headers=KEY)

    assert response.status == 405
