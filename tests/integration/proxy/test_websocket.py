"""WebSockets are byte tunnels."""

import asyncio

import pytest

from proxy.routes import Standing
from tests.integration.proxy.kit import MIB, Stage, Wire, fill, get, header, settled, status

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
PING, TEXT = b"\x89\x00", b"\x81\x02hi"
MASKED_TEXT = b"\x81\x82mask\x05\x08"
CLOSE_1001, CLOSE_1012 = b"\x88\x02\x03\xe9", b"\x88\x02\x03\xf4"


async def tunnel(stage: Stage, *, path: str = "/user/abc/ws") -> tuple[Wire, Wire]:
    """Return both ends of an open tunnel."""
    if not stage.environments:
        await stage.environment("abc")
    target = stage.environments[0] if path.startswith("/user") else stage.application
    visitor = await stage.visit()
    await visitor.send(get(path, *UPGRADE))
    upstream = await target.accept()
    await upstream.head()
    await upstream.send(SWITCH + b"\r\n")
    await visitor.head()
    return visitor, upstream


async def test_the_handshake_crosses_untouched(stage: Stage) -> None:
    environment = await stage.environment("abc", authorization=b"token t")
    visitor = await stage.visit()
    lines = (
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: v1.kernel.websocket.jupyter.org",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        "Origin: https://page.example",
        "Cookie: a=b",
    )

    await visitor.send(get("/user/abc/ws", *UPGRADE, *lines))
    upstream = await environment.accept()
    head = await upstream.head()
    await upstream.send(
        SWITCH
        + b"Sec-WebSocket-Accept: x=\r\nSec-WebSocket-Protocol: v1\r\nSet-Cookie: c=d\r\n\r\n"
    )
    answer = await visitor.head()

    assert header(head, b"connection") == [b"Upgrade"]
    assert header(head, b"upgrade") == [b"websocket"]
    assert header(head, b"authorization") == [b"token t"]
    for line in lines:
        assert line.encode() in head
    assert status(answer) == 101
    assert header(answer, b"connection") == [b"Upgrade"]
    assert header(answer, b"sec-websocket-accept") == [b"x="]
    assert header(answer, b"sec-websocket-protocol") == [b"v1"]
    assert header(answer, b"set-cookie") == [b"c=d"]


async def test_a_refusal_reaches_the_client_with_its_body_and_leaves_no_tunnel(
    stage: Stage,
) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    visitor = await stage.visit()

    for _ in range(2):
        await visitor.send(get("/user/abc/ws", *UPGRADE))
        head, body = await visitor.response()
        assert (status(head), body) == (403, b"no")

    assert stage.proxy.counts.websockets == 0
    assert environment.accepted == 1


async def test_bytes_right_behind_the_handshake_are_delivered(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/ws", *UPGRADE) + MASKED_TEXT)
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(SWITCH + b"\r\n" + TEXT)
    await visitor.head()

    assert await visitor.exactly(4) == TEXT
    assert await upstream.exactly(8) == MASKED_TEXT


async def test_frames_cross_untouched(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    bytes_in = PING + MASKED_TEXT + b"\x88\x84mask\xde\xad\xbe\xef" + bytes(range(256))
    bytes_out = TEXT + PING + b"\xc1\x7f" + (5_000_000).to_bytes(8, "big") + b"x" * 5_000_000

    await visitor.send(bytes_in)
    sending = asyncio.create_task(upstream.send(bytes_out))

    assert await upstream.exactly(len(bytes_in)) == bytes_in
    assert await visitor.exactly(len(bytes_out)) == bytes_out
    await sending


async def test_the_application_may_have_websockets_too(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage, path="/ws")

    await visitor.send(MASKED_TEXT)

    assert await upstream.exactly(8) == MASKED_TEXT


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/user/abc/ws", *UPGRADE, method="POST"),
        get("/user/abc/ws", *UPGRADE).replace(b"HTTP/1.1", b"HTTP/1.0"),
        get("/user/abc/ws", "Upgrade: websocket"),
        get("/user/abc/ws", "Connection: Upgrade", "Upgrade: h2c"),
        get("/user/abc/ws", *UPGRADE, "Content-Length: 2") + b"ok",
    ],
)
async def test_nothing_else_makes_a_tunnel(stage: Stage, request_bytes: bytes) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(request_bytes)
    upstream = await environment.accept()
    head = await upstream.head()
    await upstream.send(SWITCH + b"\r\n")

    assert header(head, b"upgrade") == []
    assert status((await visitor.response())[0]) == 502
    assert stage.proxy.counts.websockets == 0


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("who", [0, 1])
async def test_when_a_side_goes_the_other_is_closed_without_a_frame(
    stage: Stage, who: int, how: str
) -> None:
    ends = await tunnel(stage)

    if how == "reset":
        ends[who].reset()
    else:
        await ends[who].close()

    async with asyncio.timeout(0.5):
        assert await ends[1 - who].ended()
    await settled(lambda: stage.proxy.counts.websockets == 0)


async def test_what_was_sent_before_the_end_is_delivered(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    last = TEXT * 100_000 + CLOSE_1001

    await upstream.send(last)
    await upstream.close()

    assert await visitor.rest() == last


async def test_a_tunnel_waits_for_whoever_reads_slowly(stage: Stage) -> None:
    for who in (0, 1):
        ends = await tunnel(stage)

        sent = await fill(ends[who], b"")

        assert sent < 30
        assert await ends[1 - who].exactly(sent * MIB)
        ends[who].reset()


@pytest.mark.parametrize("standing", [Standing.DRAINING, Standing.GONE])
async def test_a_websocket_is_told_when_its_environment_goes(
    stage: Stage, standing: Standing
) -> None:
    visitor, upstream = await tunnel(stage)
    await upstream.send(TEXT)
    await visitor.exactly(4)

    stage.put("abc", standing)

    assert await visitor.rest() == CLOSE_1001
    assert await upstream.ended()
    await visitor.close()
    await settled(lambda: stage.proxy.counts.websockets == 0)


async def test_the_close_frame_can_be_read_by_a_visitor_that_is_still_sending(
    stage: Stage,
) -> None:
    visitor, _ = await tunnel(stage)
    await fill(visitor, b"")  # nobody reads: it waits in the proxy and before it

    stage.put("abc", Standing.GONE)

    assert await visitor.rest() == CLOSE_1001


async def test_a_close_frame_is_never_put_into_a_frame(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    await upstream.send(b"\x81\x05hel")
    await visitor.exactly(5)

    stage.put("abc", Standing.GONE)

    assert await visitor.ended()


async def test_a_close_frame_is_never_put_behind_another(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    await upstream.send(CLOSE_1012)
    await visitor.exactly(4)

    stage.put("abc", Standing.GONE)

    assert await visitor.ended()


async def test_a_visitor_that_does_not_answer_a_close_frame_is_cut_off(
    bare_stage: Stage,
) -> None:
    stage = await bare_stage.start(linger_timeout_s=0.05)
    await tunnel(stage)

    stage.put("abc", Standing.GONE)

    await settled(lambda: stage.proxy.counts.websockets == 0)


async def test_an_idle_websocket_has_no_limit(bare_stage: Stage) -> None:
    stage = await bare_stage.start(
        header_timeout_s=0.02, idle_timeout_s=0.02, body_timeout_s=0.02, response_timeout_s=0.5
    )
    visitor, upstream = await tunnel(stage)

    # As many sweeps as would end any other connection many times over.
    idle = await stage.visit()
    assert await idle.ended()
    await visitor.send(MASKED_TEXT)

    assert await upstream.exactly(8) == MASKED_TEXT
