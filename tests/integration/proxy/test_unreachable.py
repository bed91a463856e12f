"""Targets that cannot be reached, do not answer, or answer what may not be relayed."""

import asyncio
import json

import pytest

from proxy.routes import Standing
from tests.integration.proxy.kit import Environment, Stage, Wire, get, settled, status


async def test_5_8_a_refused_connection_is_502(stage: Stage) -> None:
    environment = await stage.environment("abc")
    await environment.stop()

    head, _ = await stage.ask(get())

    assert stage.says(head, 502)


async def test_5_9_a_refused_connection_is_told_within_100_ms(stage: Stage) -> None:
    environment = await stage.environment("abc")
    await environment.stop()
    visitor = await stage.visit()

    async with asyncio.timeout(0.1):
        await visitor.send(get())
        head = await visitor.head()

    assert stage.says(head, 502)


async def test_5_9_a_connection_that_is_closed_unanswered_is_tried_once(stage: Stage) -> None:
    environment = await stage.environment("abc")

    async def script(wire: Wire) -> None:
        await wire.head()
        wire.reset()

    environment.script = script
    head, _ = await stage.ask(get())

    assert stage.says(head, 502)
    assert environment.accepted == 1


async def test_a_refused_connection_keeps_the_clients_and_is_told_once(stage: Stage) -> None:
    environment = await stage.environment("abc")
    await environment.stop()
    visitor = await stage.visit()

    for _ in range(2):
        await visitor.send(get())
        head, body = await visitor.response()
        assert status(head) == 502
        assert json.loads(body)["type"] == "refused"

    assert stage.resolver.refusals == ["abc", "abc"]


async def test_an_application_that_refuses_is_502(stage: Stage) -> None:
    await stage.application.stop()

    head, _ = await stage.ask(get("/"))

    assert status(head) == 502
    assert stage.resolver.refusals == []


async def test_5_10_a_connection_that_is_not_made_in_time_is_504(
    bare_stage: Stage, deaf_port: int
) -> None:
    stage = await bare_stage.start(connect_timeout_s=0.05)
    stage.put("abc", port=deaf_port)

    head, body = await stage.ask(get())

    assert status(head) == 504
    assert json.loads(body)["type"] == "connect_timeout"


async def test_a_visitor_that_leaves_during_a_connect_leaves_nothing(
    stage: Stage, deaf_port: int
) -> None:
    stage.put("abc", port=deaf_port)
    visitor = await stage.visit()
    await visitor.send(get())
    await settled(lambda: stage.proxy.counts.requests == 1)
    assert stage.proxy.counts.busy_upstreams == 1

    await visitor.close()

    await settled(lambda: stage.proxy.counts.connections == 0)
    assert stage.proxy.counts.busy_upstreams == 0


async def test_5_11_a_response_that_does_not_come_in_time_is_504(bare_stage: Stage) -> None:
    stage = await bare_stage.start(response_timeout_s=0.1)
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream = await environment.accept()
    head, body = await visitor.response()

    assert status(head) == 504
    assert json.loads(body)["type"] == "response_timeout"
    await upstream.head()
    assert await upstream.ended()


async def is_unusable(stage: Stage, answer: bytes) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(answer)

    head, body = await stage.ask(get())

    assert stage.says(head, 502)
    assert b"leaks" not in head + body
    await stage.counts_become(idle_upstreams=0)


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage that leaks\r\n\r\n",
        b"HTTP/2 200 leaks\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX leaks\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00leaks\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: leaks\n\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nleaks",
    ],
)
async def test_5_12_garbage_is_502_and_nothing_of_it_leaks(stage: Stage, answer: bytes) -> None:
    await is_unusable(stage, answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nleaks",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nleaks",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nleaks",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nleaks",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nleaks\r\n0\r\n\r\n",
    ],
)
async def test_5_13_two_lengths_are_502_and_nothing_of_it_leaks(
    stage: Stage, answer: bytes
) -> None:
    await is_unusable(stage, answer)


async def test_5_12_garbage_without_an_end_is_502_too(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"SSH-2.0-OpenSSH_9.2\r\n")

    head, _ = await stage.ask(get())

    assert stage.says(head, 502)


async def test_an_unanswered_request_is_502(stage: Stage) -> None:
    environment: Environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.close()

    assert status((await visitor.response())[0]) == 502


@pytest.mark.parametrize(
    ("standing", "expected"),
    [(Standing.GONE, 410), (Standing.DRAINING, 410), (Standing.STARTING, 503)],
)
async def test_a_connect_is_given_up_when_the_route_goes(
    stage: Stage, deaf_port: int, standing: Standing, expected: int
) -> None:
    """Whoever has the address next must not get the request."""
    stage.put("abc", port=deaf_port)
    visitor = await stage.visit()
    await visitor.send(get())
    await settled(lambda: stage.proxy.counts.requests == 1)

    stage.put("abc", standing)

    assert status((await visitor.response())[0]) == expected


async def test_a_connect_follows_the_route_to_another_address(stage: Stage, deaf_port: int) -> None:
    stage.put("abc", port=deaf_port)
    visitor = await stage.visit()
    await visitor.send(get("/user/abc/", "Content-Length: 2", method="POST") + b"hi")
    await settled(lambda: stage.proxy.counts.requests == 1)

    environment = await stage.environment("abc")
    upstream = await environment.accept()
    await upstream.head()

    assert await upstream.exactly(2) == b"hi"
