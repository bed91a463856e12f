"""Messages are framed anew: what could be read in two ways is read by nobody."""

import pytest

from tests.integration.proxy.kit import OK, Stage, get, header, status

CHUNKED = "Transfer-Encoding: chunked"
METHODS = ["POST", "DELETE", "OPTIONS", "GET", "PROPFIND"]


async def refused(stage: Stage, request: bytes, expected: int = 400) -> None:
    """See that ``request`` is refused, its connection closed, and nobody reached."""
    await stage.environment("abc")
    stage.answer_all()
    visitor = await stage.visit()

    await visitor.send(request)
    head, _ = await visitor.response()

    assert stage.says(head, expected)
    assert await stage.hung_up(visitor, head)
    assert stage.reached == 0


def post(*lines: str) -> bytes:
    """Return a request that is another one to whoever reads its body otherwise."""
    return get("/user/abc/", *lines, method="POST") + b"abc" + get()


@pytest.mark.parametrize("method", METHODS)
async def test_2_1_a_chunked_body_is_one_request_whatever_the_method(
    stage: Stage, method: str
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    smuggled = get("/user/abc/smuggled")

    await visitor.send(
        get("/user/abc/x", CHUNKED, method=method)
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    )
    upstream = await environment.accept()
    head, body = await upstream.message()
    await upstream.send(OK)
    answer, _ = await visitor.message()

    assert head.startswith(f"{method} /user/abc/x HTTP/1.1\r\n".encode())
    assert body == smuggled
    assert status(answer) == 200
    assert environment.accepted == 1


@pytest.mark.parametrize("method", METHODS)
async def test_chunks_are_taken_off_and_put_on_again(stage: Stage, method: str) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(
        get("/user/abc/x", CHUNKED, method=method)
        + b"0005;ext=1\r\nhello\r\n00;x\r\nX-Trailer: y\r\n\r\n"
    )
    upstream, head = await environment.request()
    body = await upstream.until(b"0\r\n\r\n")
    await upstream.send(OK)
    await visitor.response()

    assert header(head, b"transfer-encoding") == [b"chunked"]
    assert header(head, b"content-length") == []
    assert body == b"5\r\nhello\r\n0\r\n\r\n"


@pytest.mark.parametrize("other", ["3", "4", "0"])
async def test_2_2_two_lengths_are_refused(stage: Stage, other: str) -> None:
    await refused(stage, post("Content-Length: 3", f"Content-Length: {other}"))


@pytest.mark.parametrize("length", ["3, 3", "3,4", "+3", "-3", "0x3", "3 3", "", "9" * 30])
async def test_2_2_a_length_that_is_not_one_number_is_refused(stage: Stage, length: str) -> None:
    await refused(stage, post(f"Content-Length: {length}"))


@pytest.mark.parametrize("lines", [("Content-Length: 3", CHUNKED), (CHUNKED, "Content-Length: 3")])
async def test_2_3_a_length_with_a_coding_is_refused(stage: Stage, lines: tuple[str, str]) -> None:
    await refused(stage, post(*lines))


@pytest.mark.parametrize(
    "lines",
    [
        ("Transfer-Encoding: gzip, chunked",),
        ("Transfer-Encoding: gzip",),
        ("Transfer-Encoding: chunked, chunked",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding:",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding:\x0bchunked",),
    ],
)
async def test_2_4_a_coding_other_than_chunked_is_refused(
    stage: Stage, lines: tuple[str, ...]
) -> None:
    await refused(stage, post(*lines))


async def test_2_5_a_coding_in_http_10_is_refused(stage: Stage) -> None:
    await refused(
        stage,
        b"POST /user/abc/ HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    )


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /user/abc/ HTTP/1.1\nHost: h\n\n",
        b"GET /user/abc/ HTTP/1.1\nHost: h\r\n\r\n",
        b"GET /user/abc/ HTTP/1.1\r\nHost: h\n\r\n",
        b"GET /user/abc/ HTTP/1.1\r\nHost: h\r\nX: y\n\r\n\r\n",
        post("X: a\nContent-Length: 3"),
    ],
)
async def test_2_6_a_bare_line_feed_is_refused(stage: Stage, request_bytes: bytes) -> None:
    await refused(stage, request_bytes)


@pytest.mark.parametrize("fold", [" folded: b", "\tb", " "])
async def test_2_7_a_folded_line_is_refused(stage: Stage, fold: str) -> None:
    await refused(stage, post("X: a", fold))


@pytest.mark.parametrize("line", ["Transfer-Encoding : chunked", "X : y", "X\t: y"])
async def test_2_8_a_space_before_the_colon_is_refused(stage: Stage, line: str) -> None:
    await refused(stage, post(line))


@pytest.mark.parametrize("value", ["a\x00b", "a\rContent-Length: 3", "a\r\rb", "\x00"])
async def test_2_9_nul_and_carriage_return_in_a_value_are_refused(stage: Stage, value: str) -> None:
    await refused(stage, post(f"X: {value}"))


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /user/abc/ HTTP/1.1\r\n\r\n",
        post("Host: other"),
        post("Host: hub.example"),
    ],
)
async def test_2_10_a_missing_or_repeated_host_is_refused(
    stage: Stage, request_bytes: bytes
) -> None:
    await refused(stage, request_bytes)


@pytest.mark.parametrize(
    "body",
    [
        b"FFFFFFFFFFFFFFFFF\r\n",
        b"8000000000000000\r\n",
        b"3\r\nabcX\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"-1\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"3;\nx\r\nabc\r\n0\r\n\r\n",
        b"0\r\nbad\r\n\r\n",
    ],
)
async def test_2_11_a_body_with_broken_chunks_is_400_and_its_upstream_cut(
    stage: Stage, body: bytes
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", CHUNKED, method="POST") + b"5\r\nhello\r\n")
    upstream, _ = await environment.request()
    await visitor.send(body)
    head, _ = await visitor.response()

    assert stage.says(head, 400)
    assert await visitor.ended()
    assert b"0\r\n\r\n" not in await upstream.rest()


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /user/abc/ HTTP/1.2\r\nHost: h\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /user/abc/ HTTP/2.0\r\nHost: h\r\n\r\n",
        b"GET /user/abc/ HTTP/11\r\nHost: h\r\n\r\n",
    ],
)
async def test_2_12_other_versions_are_refused(stage: Stage, request_bytes: bytes) -> None:
    await refused(stage, request_bytes)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /user/abc/\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_not_http_is_400_at_once(stage: Stage, request_bytes: bytes) -> None:
    await refused(stage, request_bytes)


@pytest.mark.parametrize(
    "body",
    [
        b"5;name=value\r\nhello\r\n6;x\r\n world\r\n0\r\n\r\n",
        b'5;name=value;q="a;b"\r\nhello\r\n6;x\r\n world\r\n0;last\r\n\r\n',
    ],
)
async def test_2_13_chunk_extensions_do_no_harm(stage: Stage, body: bytes) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", CHUNKED, method="POST") + body)
    upstream = await environment.accept()
    _, received = await upstream.message()
    await upstream.send(OK)

    assert received == b"hello world"
    assert status((await visitor.message())[0]) == 200


TRAILERS = [b"X-Trailer: y\r\n", b"X-Trailer: y\r\nSet-Cookie: a=b\r\n"]


@pytest.mark.parametrize("trailer", TRAILERS)
async def test_2_14_a_requests_trailer_is_no_header(stage: Stage, trailer: bytes) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    # All of it in one piece: whoever waits for the body could put it into the head.
    await visitor.send(
        get("/user/abc/", CHUNKED, method="POST") + b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n"
    )
    upstream = await environment.accept()
    head, body = await upstream.message()
    await upstream.send(OK)

    assert body == b"hello"
    assert header(head, b"x-trailer") == header(head, b"set-cookie") == []
    assert header(head, b"content-length") in ([], [b"5"])
    assert status((await visitor.message())[0]) == 200


@pytest.mark.parametrize("trailer", TRAILERS)
async def test_2_14_a_responses_trailer_is_no_header(stage: Stage, trailer: bytes) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    upstream, _ = await environment.request()
    await upstream.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n%b\r\n" % trailer
    )
    head, body = await visitor.message()

    assert body == b"hello"
    assert header(head, b"x-trailer") == header(head, b"set-cookie") == []
    assert header(head, b"content-length") in ([], [b"5"])


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
    upstream, _ = await environment.request()
    body = b""
    while not body.endswith(b"0\r\n\r\n"):
        body += await upstream.exactly(1)
    await upstream.send(OK)

    assert b"".join(body.split(b"\r\n")[1::2]) == b"hello"
    assert (await visitor.response())[1] == b"ok"


async def test_a_response_is_the_same_however_it_is_cut(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    whole = b"HTTP/1.1 200 OK\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"

    await visitor.send(get())
    upstream, _ = await environment.request()
    for index in range(len(whole)):
        await upstream.send(whole[index : index + 1])
    head, body = await visitor.response()

    assert header(head, b"x") == [b"y"]
    assert b"".join(body.split(b"\r\n")[1::2]) == b"hello"
