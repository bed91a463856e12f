"""Messages are framed anew: what one side sees is what the other side saw."""

import asyncio

import pytest

from tests.integration.proxy.kit import OK, Stage, get, header, settled, status

CHUNKED = "Transfer-Encoding: chunked"


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "GET", "PROPFIND"])
async def test_a_chunked_body_is_one_request_whatever_the_method(stage: Stage, method: str) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    smuggled = get("/user/abc/smuggled")

    await visitor.send(
        get("/user/abc/x", CHUNKED, method=method)
        + b"%x;ext=1\r\n%b\r\n0\r\nX-Trailer: y\r\n\r\n" % (len(smuggled), smuggled)
    )
    upstream = await environment.accept()
    head = await upstream.head()
    body = await upstream.until(b"0\r\n\r\n")
    await upstream.send(OK)
    await visitor.response()

    assert header(head, b"transfer-encoding") == [b"chunked"]
    assert header(head, b"content-length") == []
    assert body == b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled)


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 3", "Content-Length: 3"),
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: 3", CHUNKED),
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding:\x0bchunked",),
        ("Transfer-Encoding : chunked",),
        ("X: a", " folded: b"),
        ("X: a\x00b",),
        ("X: a\rContent-Length: 3",),
        ("X: a\nContent-Length: 3",),
        ("Host: other",),
    ],
)
async def test_an_ambiguous_request_is_refused_and_its_connection_closed(
    stage: Stage, lines: tuple[str, ...]
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", *lines, method="POST") + b"abc" + get())
    head, _ = await visitor.response()

    assert status(head) == 400
    assert header(head, b"connection") == [b"close"]
    assert await visitor.ended()
    assert environment.accepted == 0


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /user/abc/ HTTP/1.1\nHost: h\n\n",
        b"GET /user/abc/ HTTP/1.1\r\n\r\n",
        b"POST /user/abc/ HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /user/abc/\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_not_http_is_400_at_once(stage: Stage, request_bytes: bytes) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(request_bytes)

    assert status((await visitor.response())[0]) == 400
    assert await visitor.ended()
    assert environment.accepted == 0


@pytest.mark.parametrize(
    "body",
    [b"FFFFFFFFFFFFFFFFF\r\n", b"3\r\nabcX\r\n", b"3\nabc\n0\n\n", b"-1\r\n", b"0\r\nbad\r\n\r\n"],
)
async def test_a_body_with_broken_chunks_is_400_and_its_upstream_cut(
    stage: Stage, body: bytes
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", CHUNKED, method="POST"))
    upstream = await environment.accept()
    await upstream.head()
    await visitor.send(body)

    assert status((await visitor.response())[0]) == 400
    assert await visitor.ended()
    assert b"0\r\n\r\n" not in await upstream.rest()


async def test_an_http_10_client_needs_no_host(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    visitor = await stage.visit()

    await visitor.send(b"GET /user/abc/ HTTP/1.0\r\n\r\n")
    answer = await visitor.rest()

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert header(answer, b"connection") == [b"close"]


async def test_empty_lines_before_a_request_are_skipped(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    head, _ = await stage.ask(b"\r\n\r\n" + get())

    assert status(head) == 200


async def test_a_request_is_the_same_however_it_is_cut(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    whole = get("/user/abc/x", CHUNKED, method="POST") + b"5\r\nhello\r\n0\r\n\r\n"

    for index in range(len(whole)):
        await visitor.send(whole[index : index + 1])
    upstream = await environment.accept()
    await upstream.head()
    body = b""
    while not body.endswith(b"0\r\n\r\n"):
        body += await upstream.exactly(1)
    await upstream.send(OK)

    assert b"".join(body.split(b"\r\n")[1::2]) == b"hello"
    assert (await visitor.response())[1] == b"ok"


async def test_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
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
    assert environment.accepted == 1


async def test_what_is_pipelined_is_held_in_bounded_memory(stage: Stage) -> None:
    await stage.environment("abc")
    visitor = await stage.visit()
    visitor.writer.transport.set_write_buffer_limits(high=0)
    visitor.writer.write(get("/user/abc/", "X: " + "y" * 10_000) * 1_600)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await visitor.writer.drain()

    assert stage.proxy.counts.requests == 1
    visitor.reset()


async def test_a_head_that_is_too_long_is_431(stage: Stage) -> None:
    visitor = await stage.visit()

    await visitor.send(get("/", "X: " + "y" * 33_000))
    head, _ = await visitor.response()

    assert status(head) == 431
    assert await visitor.ended()


async def test_too_many_headers_are_431(stage: Stage) -> None:
    head, _ = await stage.ask(get("/", *(f"X-{number}: y" for number in range(200))))

    assert status(head) == 431


async def test_a_url_that_is_too_long_is_414(stage: Stage) -> None:
    head, _ = await stage.ask(get("/" + "x" * 17_000))

    assert status(head) == 414


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


async def test_interim_responses_are_relayed(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 P\r\n\r\n" + OK
    )

    assert await visitor.head() == b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
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


async def test_an_http_10_client_is_spared_interim_responses(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    visitor = await stage.visit()

    await visitor.send(b"GET /user/abc/ HTTP/1.0\r\nHost: h\r\n\r\n")

    assert (await visitor.rest()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("method", "line"),
    [("HEAD", b"200 OK"), ("GET", b"204 No Content"), ("GET", b"304 Not Modified")],
)
async def test_some_responses_have_no_body_whatever_the_environment_says(
    stage: Stage, method: str, line: bytes
) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 " + line + b"\r\nContent-Length: 4\r\n\r\nbody")
    visitor = await stage.visit()

    await visitor.send(get(method=method))
    head = await visitor.head()
    await settled(lambda: stage.proxy.counts.busy_upstreams == 0)
    environment.answer_all(OK)
    await visitor.send(get())

    assert status(head) == int(line[:3])
    assert (header(head, b"content-length") == []) == line.startswith(b"204")
    assert (await visitor.response())[1] == b"ok"


async def test_a_body_until_close_arrives_whole_and_the_client_may_stay(stage: Stage) -> None:
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


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ],
)
async def test_an_http_10_client_reads_until_close(stage: Stage, answer: bytes) -> None:
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
    assert header(head, b"connection") == [b"close"]


async def test_an_http_10_client_may_keep_its_connection(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    visitor = await stage.visit()

    for _ in range(2):
        await visitor.send(b"GET /user/abc/ HTTP/1.0\r\nHost: h\r\nConnection: Keep-Alive\r\n\r\n")
        head, body = await visitor.response()
        assert header(head, b"connection") == [b"keep-alive"]
        assert body == b"ok"


async def test_a_client_that_wants_to_close_is_closed(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", "Connection: close"))
    head, _ = await visitor.response()

    assert header(head, b"connection") == [b"close"]
    assert await visitor.ended()
    assert stage.proxy.counts.idle_upstreams == 1


async def test_a_response_is_the_same_however_it_is_cut(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    whole = b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    for index in range(len(whole)):
        await upstream.send(whole[index : index + 1])
    head, body = await visitor.response()

    assert header(head, b"x") == [b"y"]
    assert b"".join(body.split(b"\r\n")[1::2]) == b"hello"
