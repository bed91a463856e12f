"""What HTTP leaves to each message: interim answers, absent bodies, versions, the end."""

import asyncio

import pytest

from tests.integration.proxy.kit import OK, Stage, Wire, get, header, status

HTTP_10 = b"GET /user/abc/ HTTP/1.0\r\nHost: h\r\n"


async def test_2_20_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    async def echo(wire):  # type: ignore[no-untyped-def]
        while True:
            path = (await wire.head()).split(b" ")[1]
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path) + path)

    environment.script = echo
    await visitor.send(b"".join(get(f"/user/abc/{number}") for number in range(50)))

    answers = [(await visitor.response())[1] for _ in range(50)]

    assert answers == [b"/user/abc/%d" % number for number in range(50)]


async def test_2_21_what_is_pipelined_is_held_in_bounded_memory(stage: Stage) -> None:
    await stage.environment("abc")
    visitor = await stage.visit()
    visitor.writer.transport.set_write_buffer_limits(high=0)
    visitor.writer.write(get("/user/abc/", "X: " + "y" * 5_000) * 3_200)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await visitor.writer.drain()

    await stage.counts_become(requests=1)
    visitor.reset()


async def test_2_26_expect_100_continue_works(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    async def script(wire: Wire) -> None:
        if header(await wire.head(), b"expect"):
            await wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + await wire.exactly(5))

    environment.script = script
    await visitor.send(get("/user/abc/", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
    interim = await visitor.head()
    await visitor.send(b"hello")

    assert status(interim) == 100
    assert (await visitor.message())[1] == b"hello"


async def test_a_body_that_nobody_wants_need_not_be_sent(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
    upstream, _ = await environment.request()
    await upstream.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")

    assert status((await visitor.message())[0]) == 413


async def test_expect_100_continue_is_the_environments_to_answer(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", "Expect: 100-continue", "Content-Length: 5", method="PUT"))
    upstream = await environment.accept()
    head = await upstream.head()
    await upstream.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    interim = await visitor.head()
    await visitor.send(b"hello")
    body = await upstream.exactly(5)
    await upstream.send(OK)

    assert header(head, b"expect") == [b"100-continue"]
    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert body == b"hello"
    assert (await visitor.response())[1] == b"ok"


async def test_2_27_interim_responses_are_relayed(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + OK
    )

    hints = await visitor.head()
    assert status(hints) == 103
    assert header(hints, b"link") == [b"</x>"]
    assert status(await visitor.head()) == 102
    assert (await visitor.response())[1] == b"ok"


async def test_an_interim_response_has_no_length(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\nA: b\r\n\r\n" + OK)

    assert await visitor.head() == b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n"
    assert status((await visitor.response())[0]) == 200


@pytest.mark.parametrize(
    "interim",
    [
        b"HTTP/1.0 103 Early Hints\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
async def test_an_interim_response_that_parsers_read_differently_is_502(
    stage: Stage, interim: bytes
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(interim + OK)

    assert status((await visitor.response())[0]) == 502


@pytest.mark.parametrize(
    ("method", "line"),
    [("HEAD", b"200 OK"), ("GET", b"204 No Content"), ("GET", b"304 Not Modified")],
)
@pytest.mark.parametrize(
    "body",
    [b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"],
)
async def test_2_28_some_responses_have_no_body_whatever_the_environment_says(
    stage: Stage, method: str, line: bytes, body: bytes
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    answers = [b"HTTP/1.1 " + line + b"\r\n" + body]

    async def script(wire: Wire) -> None:
        while True:
            await wire.reader.readuntil(b"\r\n\r\n")
            await wire.send(answers.pop() if answers else OK)

    environment.script = script
    await visitor.send(get(method=method))
    head = await visitor.head()
    await stage.counts_become(busy_upstreams=0)
    await visitor.send(get())

    assert status(head) == int(line[:3])
    assert (await visitor.message())[1] == b"ok"


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_the_length_of_a_body_that_is_not_sent_is_told(stage: Stage, method: str) -> None:
    environment = await stage.environment("abc")
    line = b"200 OK" if method == "HEAD" else b"304 Not Modified"
    environment.answer_all(b"HTTP/1.1 %b\r\nContent-Length: 4\r\n\r\n" % line)
    visitor = await stage.visit()

    await visitor.send(get(method=method))

    assert header(await visitor.head(), b"content-length") == [b"4"]


async def test_no_content_has_no_length(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
    visitor = await stage.visit()

    await visitor.send(get())

    assert header(await visitor.head(), b"content-length") == []


async def test_2_29_a_body_until_close_arrives_whole(stage: Stage) -> None:
    await arrives_whole(stage, b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.parametrize("lines", [b"", b"Content-Length: 5\r\n"])
async def test_2_30_an_http_10_response_arrives_whole(stage: Stage, lines: bytes) -> None:
    await arrives_whole(stage, b"HTTP/1.0 200 OK\r\n" + lines + b"\r\n")


async def arrives_whole(stage: Stage, head: bytes) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream, _ = await environment.request()
    await upstream.send(head + b"he")
    await upstream.send(b"llo")
    await upstream.close()

    assert (await visitor.message())[1] == b"hello"


async def test_a_client_stays_though_a_body_ends_with_its_connection(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    for answer in (b"HTTP/1.0 200 OK\r\n\r\nhello", b"HTTP/1.1 200 OK\r\n\r\nhello"):
        await visitor.send(get())
        upstream = await environment.accept()
        await upstream.head()
        await upstream.send(answer)
        await upstream.close()
        head, body = await visitor.response()
        assert header(head, b"transfer-encoding") == [b"chunked"]
        assert body == b"5\r\nhello\r\n0\r\n\r\n"


async def test_2_31_an_http_10_client_needs_no_host(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    visitor = await stage.visit()

    await visitor.send(b"GET /user/abc/ HTTP/1.0\r\n\r\n")
    answer = await visitor.rest()

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert header(answer, b"connection") == [b"close"]


async def test_2_31_an_http_10_client_is_spared_interim_responses(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    visitor = await stage.visit()

    await visitor.send(b"GET /user/abc/ HTTP/1.0\r\nHost: h\r\n\r\n")

    assert (await visitor.rest()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ],
)
async def test_2_31_an_http_10_client_reads_until_close(stage: Stage, answer: bytes) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(b"GET /user/abc/ HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(answer)
    await upstream.close()
    head, _, body = (await visitor.rest()).partition(b"\r\n\r\n")

    assert body == b"hello"
    assert header(head, b"transfer-encoding") == []
    assert b"keep-alive" not in head.lower()


async def test_2_31_an_http_10_client_may_keep_its_connection(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    visitor = await stage.visit()

    for _ in range(2):
        await visitor.send(b"GET /user/abc/ HTTP/1.0\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n")
        head, body = await visitor.response()
        assert [value.lower() for value in header(head, b"connection")] == [b"keep-alive"]
        assert body == b"ok"


async def test_2_32_a_client_that_wants_to_close_is_closed(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", "Connection: close"))
    head, _ = await visitor.response()

    assert header(head, b"connection") == [b"close"]
    assert await visitor.ended()
    await stage.counts_become(idle_upstreams=1)
