"""The REST API, over which JupyterHub keeps its routes."""

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.chp.rig import Rig, proxying, url_of
from tests.integration.proxy.kit import Wire, get, status

TARGET = "http://127.0.0.1:9"


async def test_8_1_all_routes_are_read_with_their_own_keys(rig: Rig) -> None:
    assert await rig.routes() == {}
    await rig.put("/user/x", TARGET, user="x", n=[1, None])
    await rig.put("/user/y", TARGET)

    everything = await rig.routes()
    moment = everything["/user/x"].pop("last_activity")

    assert set(everything) == {"/user/x", "/user/y"}
    assert everything["/user/x"] == {"target": TARGET, "user": "x", "n": [1, None]}
    assert moment.endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(moment)) < timedelta(seconds=10)


async def test_8_2_one_route_is_read_or_404(rig: Rig) -> None:
    await rig.put("/user/x", TARGET)

    found, body = await rig.call("GET", "/user/x")

    assert found == 200
    assert await rig.routes() == {"/user/x": json.loads(body)}
    assert (await rig.call("GET", "/user/y"))[0] == 404


async def test_8_3_a_route_is_put(rig: Rig) -> None:
    assert await rig.call("POST", "/user/x", json={"target": TARGET}) == (201, b"")

    assert (await rig.routes())["/user/x"]["target"] == TARGET


async def test_8_6_a_route_is_taken_away(rig: Rig) -> None:
    await rig.put("/user/x", TARGET)

    first = await rig.call("DELETE", "/user/x")
    again = await rig.call("DELETE", "/user/x")

    assert first == (204, b"")
    assert again[0] == 404
    assert (await rig.call("GET", "/user/x"))[0] == 404
    assert await rig.routes() == {}


async def test_8_1_the_root_is_a_route_like_any(rig: Rig) -> None:
    await rig.put("", TARGET + "9")

    assert (await rig.routes())["/"]["target"] == TARGET + "9"
    assert (await rig.call("GET", "/"))[1] == (await rig.call("GET"))[1]
    assert (await rig.call("DELETE", "/"))[0] == 204
    assert await rig.routes() == {}


async def test_8_13_a_default_target_is_the_root_from_the_start(tmp_path: Path) -> None:
    async with proxying(tmp_path, "--default-target", TARGET) as rig:
        assert (await rig.routes())["/"]["target"] == TARGET

        assert (await rig.call("DELETE", "/"))[0] == 204
        assert await rig.routes() == {}


@pytest.mark.usefixtures("ours")
async def test_routes_may_be_there_from_the_start(tmp_path: Path) -> None:
    async with proxying(tmp_path, "--route", f"/a={TARGET}", "--route", f"/b/c={TARGET}") as rig:
        assert set(await rig.routes()) == {"/a", "/b/c"}


@pytest.mark.parametrize(
    ("put", "key"),
    [
        ("/user/foo@bar", "/user/foo@bar"),
        ("/user/foo%40bar", "/user/foo@bar"),
        ("/user/foo%20b%C3%A4r", "/user/foo bär"),
        ("/user/a%2Fb", "/user/a/b"),
        ("/user/foo", "/user/foo"),
        ("/user/100%25", "/user/100%"),
        ("/constructor", "/constructor"),
    ],
)
async def test_8_10_keys_are_stored_decoded(rig: Rig, put: str, key: str) -> None:
    await rig.put(put, TARGET)

    assert set(await rig.routes()) == {key}
    assert (await rig.call("GET", quote(key)))[0] == 200
    assert (await rig.call("DELETE", quote(key)))[0] == 204
    assert await rig.routes() == {}


@pytest.mark.parametrize("key", ["/user/foo", "/user/foo@bar", "/user/a/b"])
async def test_8_11_a_trailing_slash_makes_no_difference(rig: Rig, key: str) -> None:
    await rig.put(quote(key) + "/", TARGET)

    assert set(await rig.routes()) == {key}
    assert (await rig.call("GET", quote(key) + "/"))[0] == 200
    assert (await rig.call("DELETE", quote(key) + "/"))[0] == 204
    assert await rig.routes() == {}


async def test_putting_again_replaces(rig: Rig) -> None:
    await rig.put("/x", TARGET, user="a", more=1)
    await rig.put("/x/", TARGET, user="b")

    (route,) = (await rig.routes()).values()
    assert route["user"] == "b"
    assert "more" not in route


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"target": 1}', b'{"target": null}', b"\xff\xfe"],
)
async def test_8_4_a_body_that_names_no_target_is_400(rig: Rig, body: bytes) -> None:
    answered, _ = await rig.call("POST", "/x", data=body)

    assert answered == 400
    assert await rig.routes() == {}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("target", ["", "hub", "ftp://h", "javascript:alert(1)", "http://h:0"])
async def test_8_5_a_target_that_is_no_http_or_unix_url_is_400(rig: Rig, target: str) -> None:
    answered, text = await rig.call("POST", "/x", json={"target": target})

    assert answered == 400
    assert b"target" in text
    assert await rig.routes() == {}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("body", [b'{"target": "http://h", "n": NaN}', b"[" * 100_000])
async def test_a_body_that_could_not_be_read_back_is_400(rig: Rig, body: bytes) -> None:
    assert (await rig.call("POST", "/x", data=body))[0] == 400


@pytest.mark.usefixtures("ours")
async def test_8_9_a_body_of_more_than_1_mib_is_413(rig: Rig) -> None:
    answered, _ = await rig.call("POST", "/x", data=io.BytesIO(b" " * (1024 * 1024 + 1)))

    assert answered == 413
    assert await rig.routes() == {}


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("prefix", ["/a/..", "/a/%2e%2e/b", "/%ff"])
async def test_a_prefix_that_no_path_can_have_is_400(rig: Rig, prefix: str) -> None:
    assert (await rig.call("POST", prefix, json={"target": TARGET}))[0] == 400


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "authorization", ["", "token", "token x", "Bearer x", "the-token-of-all-tests"]
)
async def test_8_7_without_the_token_there_is_403(
    rig: Rig, method: str, authorization: str
) -> None:
    await rig.put("/x", TARGET)
    body = b'{"target": "http://h"}' if method == "POST" else None

    answered, text = await rig.call(
        method, "/x", data=body, headers={"Authorization": authorization}
    )

    assert (answered, text) == (403, b"")
    assert (await rig.routes())["/x"]["target"] == TARGET


@pytest.mark.usefixtures("ours")
async def test_8_8_the_token_is_looked_at_before_the_body_is_read(rig: Rig) -> None:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", rig.started.api_port))
    rig.visitors.append(wire)

    await wire.send(b"POST /api/routes/x HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")

    assert status(await wire.head()) == 403


async def test_what_is_not_the_api_is_404_and_other_methods_405(rig: Rig) -> None:
    async with rig.session.get(rig.api + "/api/other") as other:
        assert other.status == 404
    assert (await rig.call("PUT", "/x", json={"target": TARGET}))[0] == 405


@pytest.mark.parametrize("name", ["inactive_since", "inactiveSince"])
async def test_8_12_routes_can_be_asked_for_by_their_last_activity(rig: Rig, name: str) -> None:
    await rig.put("/x", TARGET)
    past = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    future = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    assert await rig.routes(f"?{name}={past}") == {}
    assert set(await rig.routes(f"?{name}={future}")) == {"/x"}
    assert (await rig.call("GET", f"?{name}=yesterday"))[0] == 400


async def test_8_21_the_public_port_says_that_it_is_alive(rig: Rig) -> None:
    head, body = await rig.ask(get("/_chp_healthz"))

    assert status(head) == 200
    assert json.loads(body) == {"status": "OK"}


@pytest.mark.usefixtures("ours")
async def test_8_21_the_api_says_that_it_is_alive_to_anybody(rig: Rig) -> None:
    async with rig.session.get(rig.api + "/_chp_healthz", headers={"Authorization": ""}) as answer:
        assert await answer.json() == {"status": "OK"}


async def test_a_request_is_activity(rig: Rig) -> None:
    server = await rig.server()
    await rig.put("/x", url_of(server))
    before = (await rig.routes())["/x"]["last_activity"]
    await asyncio.sleep(0.01)

    await rig.ask(get("/x/y"))

    assert (await rig.routes())["/x"]["last_activity"] > before


@pytest.mark.usefixtures("ours")
async def test_a_poll_is_no_activity(rig: Rig) -> None:
    server = await rig.server()
    await rig.put("/x", url_of(server))
    await asyncio.sleep(0.01)

    await rig.ask(get("/x/y"))
    used = (await rig.routes())["/x"]["last_activity"]
    await asyncio.sleep(0.01)
    await rig.ask(get("/x/api/kernels?1"))

    now = datetime.fromisoformat((await rig.routes())["/x"]["last_activity"])
    assert abs(now - datetime.fromisoformat(used)) <= timedelta(milliseconds=2)
