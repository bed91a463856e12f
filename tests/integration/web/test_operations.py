"""What every operation does alike: paths, methods, bodies, refusals."""

import gzip
import json
from typing import Any

import aiohttp
import pytest

from tests.integration.web.conftest import API_KEY, Site
from web.application import MAX_BODY

KEY = {"Authorization": API_KEY}
JSON = {"Content-Type": "application/json"}
PAGE = {"Accept": "text/html,*/*;q=0.8"}


async def told(response: aiohttp.ClientResponse) -> tuple[int, str]:
    """Give the status and type of a failure, which is told like every other."""
    assert response.content_type == "application/json", await response.text()
    body = await response.json()
    assert isinstance(body["type"], str)
    assert isinstance(body["error"], str)
    assert body["error"]
    return response.status, body["type"]


async def post(site: Site, body: bytes, **headers: str) -> aiohttp.ClientResponse:
    return await site.client.post("/api/keys", data=body, headers={**KEY, **JSON, **headers})


@pytest.mark.parametrize("path", ["/keys", "/keys/", "/api/keys", "/api/keys/"])
async def test_an_operation_is_found_at_the_root_under_api_and_with_a_slash(
    site: Site, path: str
) -> None:
    shown = await site.get(path, **KEY)

    assert (shown.status, await shown.json()) == (200, {"keys": []})


async def test_head_answers_as_get_does_without_a_body(site: Site) -> None:
    shown = await site.client.head("/keys", headers=KEY)
    denied = await site.client.head("/keys")

    assert (shown.status, await shown.read()) == (200, b"")
    assert (denied.status, await denied.read()) == (403, b"")


@pytest.mark.parametrize("accept", [{}, PAGE])
@pytest.mark.parametrize(
    ("method", "path", "failure"),
    [
        ("GET", "/keys", (403, "unauthorized")),
        ("PATCH", "/keys", (405, "method_not_allowed")),
        ("GET", "/builds/a/b/c/d", (404, "not_found")),
        ("GET", "/builds/none", (501, "buildsUnavailable")),
    ],
)
async def test_programs_are_answered_json_whoever_asks(
    site: Site, method: str, path: str, failure: tuple[int, str], accept: dict[str, str]
) -> None:
    response = await site.client.request(method, path, headers=accept)

    assert await told(response) == failure


async def test_a_method_that_is_not_there_is_told_which_are(site: Site) -> None:
    response = await site.client.patch("/keys", headers=KEY)

    assert set(response.headers["Allow"].split(",")) == {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("name", ["scopes", "Scopes", "SCOPES"])
async def test_names_are_understood_in_any_case(site: Site, name: str) -> None:
    made = await post(site, json.dumps({"name": "ci", name: ["build"]}).encode())

    assert (made.status, (await made.json())["scopes"]) == (200, ["build"])


async def test_a_body_needs_no_content_type(site: Site) -> None:
    body = b'{"name": "ci", "scopes": ["build"]}'
    made = await site.client.post(
        "/keys", data=body, headers=KEY, skip_auto_headers=("Content-Type",)
    )

    assert made.status == 200


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"", (422, "malformedRequest")),
        (b"{}", (422, "malformedRequest")),
        (b"[]", (422, "malformedRequest")),
        (b"null", (422, "malformedRequest")),
        (b'{"name": "a", "scopes": ["build"], "nothing": 1}', (422, "malformedRequest")),
        (b'{"name": "a", "Name": "b", "scopes": ["build"]}', (422, "malformedRequest")),
        (b'{"name": "a", "name": "b", "scopes": ["build"]}', (400, "malformedRequest")),
        (b'{"name": {"a": 1}, "scopes": ["build"]}', (422, "malformedRequest")),
        (b'{"name": "\\ud800", "scopes": ["build"]}', (400, "malformedRequest")),
        (b'{"name": "a", "scopes": NaN}', (400, "malformedRequest")),
        (b'{"name": "a", "scopes": ' + b"9" * 5000 + b"}", (400, "malformedRequest")),
        (b"[" * 60_000, (400, "malformedRequest")),
        (b'{"name": "\xff"}', (400, "malformedRequest")),
        (b'{"name"', (400, "malformedRequest")),
        (b" " * (MAX_BODY + 1), (413, "too_large")),
    ],
)
async def test_a_body_that_cannot_be_used_is_refused(
    site: Site, body: bytes, failure: tuple[int, str]
) -> None:
    assert await told(await post(site, body)) == failure


async def test_what_is_missing_is_named_in_the_words_that_clients_know(site: Site) -> None:
    body = await (await post(site, b'{"name": "a"}')).json()

    assert body["error"] == (
        "Request does not contain the required parameters for this endpoint: scopes"
    )


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded"])
async def test_what_is_said_to_be_no_json_is_not_read(site: Site, kind: str) -> None:
    response = await post(site, b'{"name": "a", "scopes": ["build"]}', **{"Content-Type": kind})

    assert await told(response) == (415, "unsupportedMediaType")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"this is not packed", 400), (gzip.compress(b" " * (1 << 20)), 413)],
)
async def test_a_packed_body_is_held_to_what_is_in_it(site: Site, body: bytes, status: int) -> None:
    response = await post(site, body, **{"Content-Encoding": "gzip"})

    assert response.status == status


@pytest.mark.parametrize(
    "given",
    ["\udcff", "Bearer", "token  ", "Basic Zm9vOmJhcg==", "x" * 5000, "Bearer \u00e4"],
)
async def test_a_key_that_is_none_is_refused_as_one_that_is_missing(site: Site, given: str) -> None:
    headers: Any = {"Authorization": given}

    assert await told(await site.client.get("/keys", headers=headers)) == (403, "unauthorized")
