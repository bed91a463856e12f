"""WebSockets are byte tunnels."""

import asyncio
from functools import partial

import pytest

from proxy.routes import Standing
from tests.integration.proxy.kernel import keeps_alive, queued_bytes, stuff
from tests.integration.proxy.kit import MIB, Stage, Wire, fill, get, header, settled, status

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
HANDSHAKE = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)
PING, TEXT = b"\x89\x00", b"\x81\x02hi"
MASKED_TEXT = b"\x81\x82mask\x05\x08"
CLOSE_1001, CLOSE_1012 = b"\x88\x02\x03\xe9", b"\x88\x02\x03\xf4"


async def tunnel(stage: Stage, *, path: str = "/user/abc/ws") -> tuple[Wire, Wire]:
    """Return both ends of an open tunnel."""
    if not stage.environments:
        await stage.environment("abc")
    target = stage.environments[0] if path.startswith("/user") else stage.application
    visitor = await stage.visit()
    await visitor.send(get(path, *UPGRADE, *HANDSHAKE))
    upstream, _ = await target.request()
    await upstream.send(SWITCH + b"\r\n")
    await visitor.head()
    return visitor, upstream


OFFERED = (
    *HANDSHAKE,
    "Sec-WebSocket-Protocol: v1.kernel.websocket.jupyter.org",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    "Origin: https://page.example",
    "Cookie: a=b",
)


async def test_6_1_what_a_client_offers_reaches_the_environment(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/ws", *UPGRADE, *OFFERED))
    _, head = await environment.request()

    assert [value.lower() for value in header(head, b"connection")] == [b"upgrade"]
    assert header(head, b"upgrade") == [b"websocket"]
    for line in OFFERED:
        name, _, value = line.partition(": ")
        assert header(head, name.encode()) == [value.encode()]


async def test_6_2_what_an_environment_accepts_reaches_the_client(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/ws", *UPGRADE, *OFFERED))
    upstream, _ = await environment.request()
    await upstream.send(
        SWITCH
        + b"Sec-WebSocket-Protocol: v1\r\nSet-Cookie: c=d\r\n"
        + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    answer = await visitor.head()

    assert status(answer) == 101
    assert [value.lower() for value in header(answer, b"connection")] == [b"upgrade"]
    assert header(answer, b"sec-websocket-accept") == [b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
    assert header(answer, b"sec-websocket-protocol") == [b"v1"]
    assert header(answer, b"sec-websocket-extensions") == [b"permessage-deflate"]
    assert header(answer, b"set-cookie") == [b"c=d"]


async def test_a_handshake_gets_the_environments_token(stage: Stage) -> None:
    environment = await stage.environment("abc", authorization=b"token t")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/ws", *UPGRADE, *HANDSHAKE))
    _, head = await environment.request()

    assert header(head, b"authorization") == [b"token t"]


async def test_6_3_a_refusal_reaches_the_client_with_its_body(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    head, body = await stage.ask(get("/user/abc/ws", *UPGRADE, *HANDSHAKE))

    assert (status(head), body) == (403, b"no")


async def test_6_13_a_refused_upgrade_leaves_no_tunnel(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    visitor = await stage.visit()

    for _ in range(2):  # on one connection: it is plain HTTP again
        await visitor.send(get("/user/abc/ws", *UPGRADE, *HANDSHAKE))
        head, body = await visitor.message()
        assert (status(head), body) == (403, b"no")

    await stage.counts_become(websockets=0, busy_upstreams=0)


async def test_6_13_refused_upgrades_leak_no_descriptor(stage: Stage) -> None:
    environment = await stage.environment("abc")
    refusal = b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"

    for _ in range(10):
        visitor = await stage.visit()
        await visitor.send(get("/user/abc/ws", *UPGRADE, *HANDSHAKE))
        upstream, _ = await environment.request()
        await upstream.send(refusal)
        await visitor.message()
        await visitor.close()

        assert await upstream.ended()
    await stage.counts_become(connections=0, idle_upstreams=0, busy_upstreams=0)


async def test_a_refused_upgrade_goes_back_to_the_pool(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")

    for _ in range(2):
        await stage.ask(get("/user/abc/ws", *UPGRADE, *HANDSHAKE))

    assert environment.accepted == 1


async def test_6_5_what_a_client_sends_right_behind_its_handshake_arrives(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/ws", *UPGRADE, *HANDSHAKE) + MASKED_TEXT)
    upstream, _ = await environment.request()
    await upstream.send(SWITCH + b"\r\n")
    await visitor.head()

    assert await upstream.exactly(8) == MASKED_TEXT


async def test_6_6_what_an_environment_sends_right_behind_its_handshake_arrives(
    stage: Stage,
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/ws", *UPGRADE, *HANDSHAKE))
    upstream, _ = await environment.request()
    await upstream.send(SWITCH + b"\r\n" + TEXT)
    await visitor.head()

    assert await visitor.exactly(4) == TEXT


async def test_6_4_frames_cross_untouched(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    bytes_in = PING + MASKED_TEXT + b"\x88\x84mask\xde\xad\xbe\xef" + bytes(range(256))
    bytes_out = TEXT + PING + b"\xc1\x7f" + (5_000_000).to_bytes(8, "big") + b"x" * 5_000_000

    await visitor.send(bytes_in)
    sending = asyncio.create_task(upstream.send(bytes_out))

    assert await upstream.exactly(len(bytes_in)) == bytes_in
    assert await visitor.exactly(len(bytes_out)) == bytes_out
    await sending


@pytest.mark.parametrize("frame", [
    b"\x01\x03hel", b"\x80\x02lo", b"\x89\x04ping", b"\x8a\x04pong", b"\x88\x00",
    b"\x88\x02\x03\xe8", b"\x88\x05\x0f\xa0own", b"\xc1\x02\x00\x00", b"\xff\xff\xff\xff",
])  # fmt: skip
async def test_6_4_any_frame_crosses_untouched_either_way(stage: Stage, frame: bytes) -> None:
    visitor, upstream = await tunnel(stage)

    await upstream.send(frame)
    await visitor.send(frame)

    assert await visitor.exactly(len(frame)) == frame
    assert await upstream.exactly(len(frame)) == frame


@pytest.mark.parametrize(
    "lines",
    [
        UPGRADE,
        ("Connection: keep-alive, Upgrade", "Upgrade: websocket"),
        ("connection: upgrade", "upgrade: WebSocket"),
        ("Connection: UPGRADE", "UPGRADE: WEBSOCKET"),
    ],
)
async def test_6_11_a_websocket_is_one_in_any_case_and_company(
    stage: Stage, lines: tuple[str, str]
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/ws", *lines, *HANDSHAKE))
    upstream, _ = await environment.request()
    await upstream.send(SWITCH + b"\r\n")
    head = await visitor.head()
    await visitor.send(MASKED_TEXT)

    assert status(head) == 101
    assert await upstream.exactly(8) == MASKED_TEXT


async def test_6_10_keep_alive_is_on_on_both_sides(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)

    # Until what was sent is acknowledged, another timer runs.
    for wire in (visitor, upstream):
        await settled(partial(keeps_alive, wire))


@pytest.mark.parametrize("lines", [("Sec-WebSocket-Key: x", "X : y"), ("Content-Length: x",)])
async def test_6_15_a_head_that_is_refused_is_refused_for_upgrades(
    stage: Stage, lines: tuple[str, ...]
) -> None:
    await stage.environment("abc")

    head, _ = await stage.ask(get("/user/abc/ws", *UPGRADE, *lines))

    assert status(head) == 400
    assert stage.reached == 0


@pytest.mark.parametrize(
    ("path", "expected"), [("/user/abc/../ws", 400), ("/user/__x/ws", 404), ("/user/gone/ws", 410)]
)
async def test_6_15_a_path_that_is_refused_is_refused_for_upgrades(
    stage: Stage, path: str, expected: int
) -> None:
    await stage.environment("abc")

    head, _ = await stage.ask(get(path, *UPGRADE))

    assert status(head) == expected
    assert stage.reached == 0


async def test_6_15_a_handshake_is_stripped_as_any_request(stage: Stage) -> None:
    environment = await stage.environment("abc", authorization=b"token t")
    visitor = await stage.visit()

    await visitor.send(
        get(
            "/user/abc/ws",
            *UPGRADE,
            *HANDSHAKE,
            "Cookie: tmpenv-s=x; a=b",
            "X-Forwarded-For: 1.2.3.4",
        )
    )
    _, head = await environment.request()

    assert header(head, b"cookie") == [b"a=b"]
    assert header(head, b"x-forwarded-for") == [b"127.0.0.1"]
    assert header(head, b"authorization") == [b"token t"]


async def test_the_application_may_have_websockets_too(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage, path="/ws")

    await visitor.send(MASKED_TEXT)

    assert await upstream.exactly(8) == MASKED_TEXT


@pytest.mark.parametrize(
    "request_bytes",
    [
        get("/user/abc/ws", *UPGRADE, *HANDSHAKE, method="POST"),
        get("/user/abc/ws", *UPGRADE, *HANDSHAKE).replace(b"HTTP/1.1", b"HTTP/1.0"),
        get("/user/abc/ws", "Upgrade: websocket", *HANDSHAKE),
        get("/user/abc/ws", "Connection: Upgrade", "Upgrade: h2c", *HANDSHAKE),
        get("/user/abc/ws", *UPGRADE, *HANDSHAKE, "Content-Length: 2") + b"ok",
    ],
)
async def test_6_12_nothing_else_makes_a_tunnel(stage: Stage, request_bytes: bytes) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(request_bytes)
    upstream = await environment.accept()
    head = await upstream.head()
    await upstream.send(SWITCH + b"\r\n")

    assert header(head, b"upgrade") == []
    answer, _ = await visitor.response()
    assert stage.says(answer, 502)
    await stage.counts_become(websockets=0)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("who", [0, 1])
async def test_6_8_when_a_side_goes_the_other_is_closed_without_a_frame(
    stage: Stage, who: int, how: str
) -> None:
    ends = await tunnel(stage)

    if how == "reset":
        ends[who].reset()
    else:
        await ends[who].close()

    async with asyncio.timeout(0.5):
        assert await ends[1 - who].ended()
    await stage.counts_become(websockets=0)


async def test_6_8_what_was_sent_before_the_end_is_delivered(stage: Stage) -> None:
    visitor, upstream = await tunnel(stage)
    last = TEXT * 100_000 + CLOSE_1001

    await upstream.send(last)
    await upstream.close()

    assert await visitor.rest() == last


@pytest.mark.parametrize("who", [0, 1])
async def test_6_7_no_more_than_1_mib_waits_in_the_proxy(stage: Stage, who: int) -> None:
    ends = await tunnel(stage)
    reader = ends[1 - who]
    reader.writer.transport.pause_reading()

    sent = await stuff(ends[who])
    waiting = sent - queued_bytes(*ends)

    assert waiting <= MIB
    reader.writer.transport.resume_reading()
    assert await reader.exactly(sent) == b"\0" * sent


async def test_6_7_a_tunnel_waits_for_whoever_reads_slowly(stage: Stage) -> None:
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


async def test_6_9_an_idle_websocket_has_no_limit(bare_stage: Stage) -> None:
    stage = await bare_stage.start(
        header_timeout_s=0.02, idle_timeout_s=0.02, body_timeout_s=0.02, response_timeout_s=0.5
    )
    visitor, upstream = await tunnel(stage)

    # As many sweeps as would end any other connection many times over.
    idle = await stage.visit()
    assert await idle.ended()
    await visitor.send(MASKED_TEXT)

    assert await upstream.exactly(8) == MASKED_TEXT
