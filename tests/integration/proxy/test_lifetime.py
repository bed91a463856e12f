"""Times that run out, and how the proxy ends."""

import asyncio

import pytest

from proxy.routes import Standing
from proxy.settings import ProxySettings
from tests.integration.proxy.kit import OK, Stage, get, header, settled, status
from tests.integration.proxy.test_websocket import CLOSE_1012, tunnel


@pytest.mark.parametrize(
    ("name", "seconds"), [("header_timeout_s", 30), ("body_timeout_s", 120), ("idle_timeout_s", 75)]
)
def test_a_time_that_is_not_set_is_that_of_the_contract(name: str, seconds: float) -> None:
    assert getattr(ProxySettings(), name) == seconds


async def test_2_18_a_head_that_dribbles_is_408(bare_stage: Stage) -> None:
    stage = await bare_stage.start(header_timeout_s=0.1)
    visitor = await stage.visit()

    await visitor.send(b"GET / HTTP/1.1\r\n")
    await visitor.send(b"Host: h\r\n")
    head, _ = await visitor.response()

    assert status(head) == 408
    assert await visitor.ended()


async def test_2_18_no_dribble_puts_the_end_off(bare_stage: Stage) -> None:
    stage = await bare_stage.start(header_timeout_s=0.1)
    visitor = await stage.visit()

    async def dribble() -> None:
        await visitor.send(b"GET / HTTP/1.1\r\nX: ")
        while True:
            await visitor.send(b"y")
            await asyncio.sleep(0.01)

    dribbling = asyncio.create_task(dribble())
    head, _ = await visitor.response()
    dribbling.cancel()

    assert status(head) == 408


async def test_2_18_a_second_head_that_dribbles_is_408_too(bare_stage: Stage) -> None:
    stage = await bare_stage.start(header_timeout_s=0.1, idle_timeout_s=1000)
    stage.put("abc", Standing.GONE)
    visitor = await stage.visit()
    await visitor.send(get())
    await visitor.response()

    await visitor.send(b"GET / HTTP/1.1\r\n")

    assert status((await visitor.response())[0]) == 408


async def test_a_connection_without_a_byte_is_closed_without_one(bare_stage: Stage) -> None:
    stage = await bare_stage.start(header_timeout_s=0.05)
    visitor = await stage.visit()

    assert await visitor.ended()


async def test_2_34_an_idle_connection_is_closed(bare_stage: Stage) -> None:
    stage = await bare_stage.start(idle_timeout_s=0.05)
    stage.put("abc", Standing.GONE)
    visitor = await stage.visit()
    await visitor.send(get())
    await visitor.response()

    assert await visitor.ended()


async def test_2_19_a_body_that_stalls_is_408_and_its_upstream_cut(bare_stage: Stage) -> None:
    stage = await bare_stage.start(body_timeout_s=0.1)
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", "Content-Length: 5", method="POST") + b"hel")
    upstream = await environment.accept()
    head, _ = await visitor.response()

    assert status(head) == 408
    assert await visitor.ended()
    await upstream.head()
    assert await upstream.rest() in (b"", b"hel")


async def test_2_19_a_body_that_is_not_taken_does_not_stall(bare_stage: Stage) -> None:
    stage = await bare_stage.start(body_timeout_s=0.1, idle_timeout_s=0.3)
    stage.put("gone", Standing.GONE)
    environment = await stage.environment("abc")
    visitor, clock = await stage.visit(), await stage.visit()
    size = 40_000_000

    sending = asyncio.create_task(
        visitor.send(get("/user/abc/", f"Content-Length: {size}", method="POST") + b"x" * size)
    )
    upstream = await environment.accept()
    await clock.send(get("/user/gone/"))
    await clock.response()
    assert await clock.ended()  # three times the body's time has passed
    await upstream.head()
    await upstream.exactly(size)
    await upstream.send(OK)
    await sending

    assert status((await visitor.response())[0]) == 200


async def test_5_11_a_slow_response_has_no_limit_by_default(bare_stage: Stage) -> None:
    stage = await bare_stage.start(body_timeout_s=0.05, idle_timeout_s=0.2, header_timeout_s=0.05)
    stage.put("gone", Standing.GONE)
    environment = await stage.environment("abc")
    visitor, clock = await stage.visit(), await stage.visit()
    await visitor.send(get())
    upstream = await environment.accept()

    await clock.send(get("/user/gone/"))
    await clock.response()
    assert await clock.ended()
    await upstream.send(OK)

    assert status((await visitor.response())[0]) == 200


async def test_who_does_not_read_the_last_answer_is_cut_off_in_the_end(bare_stage: Stage) -> None:
    stage = await bare_stage.start(linger_timeout_s=0.05, body_timeout_s=0.2)
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    visitor.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await visitor.send(get("/user/abc/", "Connection: close"))
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(b"HTTP/1.1 200 OK\r\n\r\n")
    (client,) = stage.proxy._edge.clients
    while not client.transport.get_write_buffer_size():
        await upstream.send(b"x" * 64 * 1024)
        await asyncio.sleep(0.001)  # for the proxy to take it

    await upstream.close()

    await settled(lambda: stage.proxy.counts.connections == 0)


async def test_draining_finishes_requests_and_closes_the_rest(stage: Stage) -> None:
    environment = await stage.environment("abc")
    busy, idle = await stage.visit(), await stage.visit()
    await idle.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(OK)
    await idle.response()
    await busy.send(get())
    await upstream.head()

    draining = asyncio.create_task(stage.proxy.drain())
    assert await idle.ended()
    with pytest.raises(OSError, match=r"refused|failed|reset"):
        await stage.visit()
    await idle.close()
    await upstream.send(OK)
    head, body = await busy.response()
    await busy.close()
    await draining

    assert header(head, b"connection") == [b"close"]
    assert body == b"ok"
    assert await upstream.ended()
    assert stage.proxy.counts.connections == 0


async def test_draining_closes_websockets_with_1012_after_its_time(bare_stage: Stage) -> None:
    stage = await bare_stage.start(drain_timeout_s=0.1)
    visitor, upstream = await tunnel(stage)

    draining = asyncio.create_task(stage.proxy.drain())
    assert await visitor.rest() == CLOSE_1012
    await visitor.close()
    await draining

    assert await upstream.ended()
    assert stage.proxy.counts.websockets == 0


async def test_draining_cuts_what_does_not_end(bare_stage: Stage) -> None:
    stage = await bare_stage.start(drain_timeout_s=0.05)
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()

    await stage.proxy.drain()

    assert await visitor.ended()
    assert await upstream.ended()


async def test_aborting_closes_everything_at_once(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    waiting = await stage.visit()
    await waiting.send(get())
    other = await stage.environments[0].accept()
    await other.head()

    await stage.proxy.abort()

    for wire in (visitor, upstream, waiting, other):
        assert await wire.ended()
    assert stage.proxy.counts.connections == 0


async def test_nothing_is_left_of_many_connections(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    await asyncio.gather(*(stage.ask(get()) for _ in range(100)))

    await settled(lambda: stage.proxy.counts.connections == 0)
    assert stage.proxy.counts.requests == 0
    assert stage.proxy.counts.busy_upstreams == 0
