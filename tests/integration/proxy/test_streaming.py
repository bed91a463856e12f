"""Bytes move when they come, and no faster than they are taken."""

import asyncio

import pytest

from tests.integration.proxy.kit import MIB, OK, PATIENCE_S, Stage, fill, get, settled, status


async def test_2_25_the_first_event_arrives_when_it_is_sent(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    await upstream.send(b"data: 1\n\n")
    await visitor.head()
    first = await visitor.until(b"\n\n")
    await upstream.send(b"data: 2\n\n")

    assert first.endswith(b"data: 1\n\n")
    assert (await visitor.until(b"\n\n")).endswith(b"data: 2\n\n")


async def test_2_22_a_request_body_arrives_as_it_is_sent(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", "Content-Length: 10", method="POST") + b"hello")
    upstream = await environment.accept()
    await upstream.head()
    first = await upstream.exactly(5)
    await visitor.send(b"world")

    assert first + await upstream.exactly(5) == b"helloworld"


@pytest.mark.parametrize("framing", ["Content-Length: 33554432", "Transfer-Encoding: chunked"])
async def test_2_22_a_large_upload_arrives_whole(stage: Stage, framing: str) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    piece = bytes(range(256)) * 4096
    is_chunked = "chunked" in framing

    async def upload() -> None:
        await visitor.send(get("/user/abc/", framing, method="PUT"))
        for _ in range(32):
            await visitor.send(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
        if is_chunked:
            await visitor.send(b"0\r\n\r\n")

    uploading = asyncio.create_task(upload())
    upstream = await environment.accept()
    await upstream.head()
    received = b""
    if is_chunked:
        parts = []
        while size := int((await upstream.until(b"\r\n")), 16):
            parts.append(await upstream.exactly(size))
            assert await upstream.exactly(2) == b"\r\n"
        received = b"".join(parts)
    else:
        received = await upstream.exactly(32 * MIB)
    await uploading
    await upstream.send(OK)

    assert received == piece * 32


async def test_2_23_a_large_download_arrives_whole(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    payload = bytes(range(256)) * 4096 * 32

    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    sending = asyncio.create_task(
        upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(payload) + payload)
    )
    await visitor.head()
    received = await visitor.exactly(len(payload))
    await sending

    assert received == payload


async def test_2_22_an_upload_waits_for_the_environment_to_read(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    sent = await fill(visitor, get("/user/abc/", f"Content-Length: {300 * MIB}", method="POST"))
    upstream = await environment.accept()

    # What the kernel's own buffers hold on four sockets, and no more.
    assert sent < 40
    await upstream.head()
    assert await upstream.exactly(sent * MIB)


async def test_2_23_a_download_waits_for_the_visitor_to_read(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    sent = await fill(upstream, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (300 * MIB))

    assert sent < 40
    await visitor.head()
    assert await visitor.exactly(sent * MIB)


async def test_2_42_a_visitor_that_leaves_ends_its_waiting_request_at_once(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()

    await visitor.close()

    assert await upstream.ended()
    await stage.counts_become(requests=0, busy_upstreams=0)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_2_42_a_visitor_that_leaves_ends_its_upload_at_once(stage: Stage, how: str) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get("/user/abc/", "Content-Length: 10", method="POST") + b"hello")
    upstream, _ = await environment.request()
    await upstream.exactly(5)

    if how == "reset":
        visitor.reset()
    else:
        await visitor.close()

    assert await upstream.ended()


async def test_2_42_a_visitor_that_leaves_ends_its_download_at_once(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream, _ = await environment.request()
    await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
    await visitor.until(b"\n\n")

    await visitor.close()

    assert await upstream.ended()


async def test_the_application_hears_at_once_that_a_visitor_left(stage: Stage) -> None:
    visitor = await stage.visit()
    await visitor.send(get("/api/spawn", "Content-Length: 2", method="POST") + b"{}")
    upstream = await stage.application.accept()
    await upstream.head()
    await upstream.exactly(2)

    visitor.reset()

    assert await upstream.ended()


BROKEN_OFF = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
]


@pytest.mark.parametrize("answer", BROKEN_OFF)
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_2_41_an_environment_that_dies_in_mid_body_breaks_the_message_at_once(
    stage: Stage, answer: bytes, how: str
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream, _ = await environment.request()
    await upstream.send(answer)
    await visitor.until(b"hello")

    if how == "reset":
        upstream.reset()
    else:
        await upstream.close()

    async with asyncio.timeout(1):
        assert await visitor.remains() in (b"", b"\r\n")


@pytest.mark.parametrize("answer", BROKEN_OFF)
async def test_an_environment_that_dies_in_mid_body_resets_the_visitor(
    stage: Stage, answer: bytes
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream, _ = await environment.request()
    await upstream.send(answer)
    await visitor.until(b"hello")

    await upstream.close()

    assert await visitor.broke()


async def test_2_41_a_reset_cannot_pass_for_the_end_of_a_body(stage: Stage) -> None:
    """A body until close that broke off must not look whole to an HTTP/1.0 client."""
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(b"GET /user/abc/ HTTP/1.0\r\nHost: h\r\n\r\n")
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(b"HTTP/1.0 200 OK\r\n\r\nhello")
    await visitor.until(b"hello")

    upstream.reset()

    assert await visitor.broke()


async def test_an_early_answer_arrives_and_the_rest_of_the_body_is_dropped(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get("/user/abc/", "Content-Length: 1000000", method="POST") + b"x" * 1000)
    upstream = await environment.accept()
    await upstream.head()

    await upstream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
    head, body = await visitor.response()

    assert (status(head), body) == (413, b"no")
    assert b"\r\nConnection: close\r\n" in head
    assert await visitor.ended()
    await stage.counts_become(busy_upstreams=0, idle_upstreams=0)


async def test_bodies_stay_whole_while_the_visitor_reads_slowly(stage: Stage) -> None:
    environment = await stage.environment("abc")
    payload = bytes(range(256)) * 4096 * 4
    environment.answer_all(
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(payload) + payload
    )
    visitor = await stage.visit()
    await visitor.send(get() * 4)

    for _ in range(4):
        await visitor.head()
        received = b""
        while len(received) < len(payload):
            async with asyncio.timeout(PATIENCE_S):
                received += await visitor.reader.read(min(300_000, len(payload) - len(received)))
        assert received == payload


async def test_who_is_reset_while_nothing_is_taken_is_noticed(bare_stage: Stage) -> None:
    stage = await bare_stage.start(linger_timeout_s=0.2)
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await fill(visitor, get("/user/abc/", f"Content-Length: {300 * MIB}", method="POST"))
    await environment.accept()  # and read nothing

    visitor.reset()

    await settled(lambda: stage.proxy.counts.connections == 0)
    await settled(lambda: stage.proxy.counts.busy_upstreams == 0)


async def test_who_leaves_with_requests_waiting_is_noticed(bare_stage: Stage) -> None:
    """Nothing more is read from who asks far ahead; yet that they left is seen."""
    stage = await bare_stage.start(linger_timeout_s=0.2, max_pipelined_bytes=1000)
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get() + get("/user/abc/later") * 100)
    upstream = await environment.accept()
    await upstream.head()

    await visitor.close()

    assert await upstream.ended()
    await settled(lambda: stage.proxy.counts.connections == 0)
