"""Each byte at each kind of place, and each pair of framings: small spaces, seen whole.

What is accepted is said here from the RFCs' grammars. The oracles hold the rest: that
h11 and llhttp read what is accepted in the same way, and that cuts make no difference.
"""

import itertools
import string

import pytest

from tests.unit.proxy.messages import FRAMINGS, LINES, RESPONSE_LINES
from tests.unit.proxy.request_oracle import check_requests
from tests.unit.proxy.response_oracle import ASKS, check_responses

BYTES = [bytes([number]) for number in range(256)]
TOKEN = set((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())
VALUE = {0x09, *range(0x20, 0x7F), *range(0x80, 0x100)}
HEX = set(string.hexdigits.encode())
GET = b"GET /user/abc/lab HTTP/1.1\r\nHost: h\r\n"
CHUNKED = b"POST /user/abc/lab HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"

# What stands before the byte and behind it, and the bytes that are accepted there.
REQUEST_PLACES = {
    "method": (b"GE", b"T /user/abc/lab HTTP/1.1\r\nHost: h\r\n\r\n", TOKEN),
    "target": (
        b"GET /user/abc/a",
        b" HTTP/1.1\r\nHost: h\r\n\r\n",
        set(range(0x21, 0x7F)) - set(b"#%"),
    ),
    "authority": (
        b"GET http://a",
        b"b/user/abc/lab HTTP/1.1\r\nHost: h\r\n\r\n",
        set((string.ascii_letters + string.digits + "._~%!$&'()*+,;=:[]-/?").encode()),
    ),
    "query": (
        b"GET /user/abc/lab?",
        b" HTTP/1.1\r\nHost: h\r\n\r\n",
        set(range(0x21, 0x7F)) - set(b"#"),
    ),
    "escape": (b"GET /user/abc/%4", b" HTTP/1.1\r\nHost: h\r\n\r\n", HEX),
    "version": (b"GET /user/abc/lab HTTP/1.", b"\r\nHost: h\r\n\r\n", set(b"01")),
    "line-end": (b"GET /user/abc/lab HTTP/1.1", b"\nHost: h\r\n\r\n", set(b"\r")),
    "name": (GET + b"X-", b"y: z\r\n\r\n", TOKEN | set(b":")),
    "before-colon": (GET + b"X", b": z\r\n\r\n", TOKEN | set(b":")),
    "value": (GET + b"X: a", b"b\r\n\r\n", VALUE),
    "host": (b"GET /user/abc/lab HTTP/1.1\r\nHost: a", b"b\r\n\r\n", VALUE),
    "length": (GET + b"Content-Length: 0", b"\r\n\r\n123456789", set(b"0123456789 \t")),
    "coding": (GET + b"Transfer-Encoding: chunked", b"\r\n\r\n0\r\n\r\n", set(b" ")),
    "chunk-size": (CHUNKED, b"\r\n" + b"x" * 15 + b"\r\n0\r\n\r\n", set(b"fF")),
    "behind-size": (CHUNKED + b"0", b"\r\n\r\n", set(b"0")),
    "extension": (CHUNKED + b"0;a", b"\r\n\r\n", TOKEN),
    "quoted": (CHUNKED + b'0;a="', b'"\r\n\r\n', VALUE - set(b'"\\')),
    "chunk-end": (CHUNKED + b"1\r\nx", b"\n0\r\n\r\n", set(b"\r")),
    "trailer-name": (CHUNKED + b"0\r\nX", b": y\r\n\r\n", TOKEN | set(b":")),
    "trailer-value": (CHUNKED + b"0\r\nX: y", b"\r\n\r\n", VALUE),
    "last-line": (CHUNKED + b"0\r\n\r", b"", set(b"\n")),
}
RESPONSE_PLACES = {
    "version": (b"HTTP/1.", b" 200 OK\r\nContent-Length: 0\r\n\r\n", set(b"01")),
    "status": (b"HTTP/1.1 ", b"04 X\r\nContent-Length: 0\r\n\r\n", set(b"12345")),
    "reason": (b"HTTP/1.1 200 a", b"b\r\nContent-Length: 0\r\n\r\n", VALUE),
    "name": (OK + b"X-", b"y: z\r\nContent-Length: 0\r\n\r\n", TOKEN | set(b":")),
    "value": (OK + b"X: a", b"b\r\nContent-Length: 0\r\n\r\n", VALUE),
    "length": (OK + b"Content-Length: 0", b"\r\n\r\n", set(b"0123456789 \t")),
    "chunk-size": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        b"\r\n" + b"x" * 15 + b"\r\n0\r\n\r\n",
        set(b"fF"),
    ),
    "chunk-end": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx",
        b"\n0\r\n\r\n",
        set(b"\r"),
    ),
}


@pytest.mark.parametrize("place", REQUEST_PLACES)
def test_a_request_has_each_byte_only_where_the_grammar_has_it(place: str) -> None:
    before, behind, accepted = REQUEST_PLACES[place]

    forwarded = {
        byte[0]
        for byte in BYTES
        if check_requests(before + byte + behind, [[before, byte, behind]]).requests
    }

    assert forwarded == accepted


@pytest.mark.parametrize("place", RESPONSE_PLACES)
def test_an_answer_has_each_byte_only_where_the_grammar_has_it(place: str) -> None:
    before, behind, accepted = RESPONSE_PLACES[place]

    relayed = set()
    for byte in BYTES:
        data = before + byte + behind
        answered = check_responses(data, ASKS["get"], [[before, byte, behind]], ends=False)
        if not answered.ending and not answered.to_visitor.startswith(b"HTTP/1.1 502"):
            relayed.add(byte[0])

    assert relayed == accepted


def is_whole(framings: tuple[bytes, ...]) -> bool:
    """Say whether a body is framed once, and plainly."""
    plain = {
        b"Content-Length: 5",
        b"content-length:05 ",
        b"Content-Length: 0",
        b"Transfer-Encoding: chunked",
    }
    return len(framings) == 1 and framings[0] in plain


@pytest.mark.parametrize("first", FRAMINGS)
def test_a_request_is_framed_once_or_refused(first: bytes) -> None:
    """Each framing alone, before and behind each other, itself included."""
    for framings in ((first,), *((first, second) for second in FRAMINGS)):
        body = b"0\r\n\r\n" if b"chunked" in b"".join(framings).lower() else b"hello"
        for version in (b"HTTP/1.1", b"HTTP/1.0"):
            head = GET.replace(b"HTTP/1.1", version) + b"\r\n".join(framings) + b"\r\n\r\n"

            talk = check_requests(head + body, [[head, body]])

            is_chunked = b"Transfer-Encoding: chunked" in framings
            is_plain = is_whole(framings) and not (is_chunked and version == b"HTTP/1.0")
            is_waiting = b"Content-Length: 999999999999999999" in framings and len(framings) == 1
            assert bool(talk.requests) == is_plain
            assert talk.to_visitor.startswith(b"HTTP/1.1 400 ") == (not is_plain and not is_waiting)


@pytest.mark.parametrize("first", FRAMINGS)
def test_an_answer_is_framed_once_or_not_relayed(first: bytes) -> None:
    for framings in ((first,), *((first, second) for second in FRAMINGS)):
        body = b"0\r\n\r\n" if b"chunked" in b"".join(framings).lower() else b"hello"
        head = OK + b"\r\n".join(framings) + b"\r\n\r\n"

        answered = check_responses(head + body, ASKS["get"], [[head, body]], ends=True)

        is_short = b"Content-Length: 999999999999999999" in framings and len(framings) == 1
        is_relayed = answered.to_visitor.startswith(b"HTTP/1.1 200 ")
        assert is_relayed == (is_whole(framings) or is_short)
        assert (answered.ending == "cut") == is_short


@pytest.mark.parametrize("ask", ["get", "head", "old"])
def test_each_status_has_the_body_that_it_may_have(ask: str) -> None:
    for status, framing in itertools.product(
        range(100, 600),
        (b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
    ):
        body = b"5\r\nhello\r\n0\r\n\r\n" if b"chunked" in framing else b"hello"
        data = b"HTTP/1.1 %d X\r\n%b\r\n" % (status, framing) + body

        answered = check_responses(data, ASKS[ask], ends=True)

        is_bodiless = ask == "head" or status in (204, 304) or status < 200
        assert (b"hello" in answered.to_visitor) == (not is_bodiless)


@pytest.mark.parametrize("first", LINES)
def test_each_pair_of_header_lines_is_forwarded_by_the_same_rules(first: bytes) -> None:
    for second in LINES:
        check_requests(GET + first + b"\r\n" + second + b"\r\n\r\n")


@pytest.mark.parametrize("first", RESPONSE_LINES)
def test_each_pair_of_header_lines_is_relayed_by_the_same_rules(first: bytes) -> None:
    for second in RESPONSE_LINES:
        data = OK + first + b"\r\n" + second + b"\r\nContent-Length: 0\r\n\r\n"
        for ask in ("get", "at-prefix"):
            check_responses(data, ASKS[ask], ends=False)
