"""Requests reach whom they are for, and the answers come back."""

import json

from proxy.routes import Route, Standing
from tests.integration.proxy.kit import OK, Stage, get, header, status


async def test_a_request_reaches_its_environment_and_the_answer_returns(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/api/contents?1732150000000"))
    upstream = await environment.accept()
    head = await upstream.head()
    await upstream.send(OK)
    answer, body = await visitor.response()

    assert head.startswith(b"GET /user/abc/api/contents?1732150000000 HTTP/1.1\r\n")
    assert header(head, b"host") == [b"hub.example"]
    assert header(head, b"x-forwarded-for") == [b"127.0.0.1"]
    assert header(head, b"x-forwarded-proto") == [b"http"]
    assert header(head, b"x-forwarded-host") == [b"hub.example"]
    assert header(head, b"x-forwarded-prefix") == [b"/user/abc"]
    assert (status(answer), body) == (200, b"ok")


async def test_everything_else_goes_to_the_application(stage: Stage) -> None:
    visitor = await stage.visit()

    await visitor.send(get("/api/spawn?x=%20"))
    upstream = await stage.application.accept()
    head = await upstream.head()
    await upstream.send(OK)

    assert head.startswith(b"GET /api/spawn?x=%20 HTTP/1.1\r\n")
    assert (await visitor.response())[1] == b"ok"


async def test_an_environment_that_ended_is_410(stage: Stage) -> None:
    stage.put("abc", Standing.GONE, reason="idle")

    head, body = await stage.ask(get("/user/abc/api/kernels"))

    assert status(head) == 410
    assert json.loads(body) == {
        "message": "The environment has ended.",
        "reason": "idle",
        "status": 410,
        "type": "gone",
        "error": "The environment has ended.",
    }


async def test_an_id_that_is_not_known_is_asked_for_once(stage: Stage) -> None:
    environment = await stage.environment("other")
    environment.answer_all()
    stage.resolver.routes["abc"] = Route(
        "abc", Standing.LIVE, "127.0.0.1", environment.port, version=1
    )

    answers = [await stage.ask(get("/user/abc/")) for _ in range(3)]

    assert [status(head) for head, _ in answers] == [200, 200, 200]
    assert stage.resolver.asked == ["abc"]


async def test_a_refused_connection_is_502_and_a_hint(stage: Stage) -> None:
    environment = await stage.environment("abc")
    await environment.stop()

    head, _ = await stage.ask(get())

    assert status(head) == 502
    assert stage.resolver.refusals == ["abc"]


async def test_a_websocket_is_a_tunnel(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(
        get("/user/abc/ws", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket") + b"early"
    )
    upstream = await environment.accept()
    head = await upstream.head()
    await upstream.send(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: x\r\n\r\nhello"
    )

    assert header(head, b"upgrade") == [b"websocket"]
    assert status(await visitor.head()) == 101
    assert await visitor.exactly(5) == b"hello"
    assert await upstream.exactly(5) == b"early"
