"""Requests are read in one way or refused, and forwarded as they were read."""

import h11
import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cors import Cors
from proxy.errors import EdgeError, Refusal
from proxy.framing import CHUNKED
from proxy.request import check_beginning, read_request_line, without_empty_lines
from proxy.request_head import HeaderReader, Headers, Peer
from proxy.settings import ProxySettings

STRANGER = Peer(b"192.0.2.1", is_trusted=False)
TRUSTED = Peer(b"10.0.0.1", is_trusted=True)


def read(*lines: bytes, peer: Peer = STRANGER, own_cookies_prefix: bytes = b"tmpenv-") -> Headers:
    reader = HeaderReader(
        cors=Cors(("https://page.example",), 600),
        own_cookies_prefix=own_cookies_prefix,
        max_headers_count=20,
    )
    return reader.read(b"".join(b"\r\n" + line for line in lines), peer)


def kept(*lines: bytes, peer: Peer = STRANGER) -> list[bytes]:
    return read(*lines, peer=peer).kept.split(b"\r\n")[1:]


def refusal_of(*lines: bytes) -> int:
    with pytest.raises(Refusal) as caught:
        read(*lines)
    return caught.value.error.status


OURS = [b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: http", b"X-Forwarded-Host: h"]


@pytest.mark.parametrize(
    "line",
    [
        b"Name : x",
        b" folded",
        b"\tfolded",
        b"no colon",
        b": no name",
        b"",
        b"Na me: x",
        b"Name: a\x00b",
        b"Name: a\rb",
        b"Name: a\nb",
        b"Name: a\x7fb",
        b"N\xe4me: x",
        b"Content-Length: +5",
        b"Content-Length: -5",
        b"Content-Length: 0x5",
        b"Content-Length: 5, 5",
        b"Content-Length: ",
        b"Content-Length: 5 5",
        b"Content-Length: \xb2",
        b"Content-Length: 1000000000000000000",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: chunked\t",
        b"Transfer-Encoding:",
        b"Host: again",
        b"hOST: again",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(line: bytes) -> None:
    assert refusal_of(b"Host: h", line) == 400
    assert refusal_of(line, b"Host: h") == 400


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 5", b"Content-Length: 5"),
        (b"Content-Length: 5", b"content-length: 6"),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 0"),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"TRANSFER-ENCODING: identity"),
    ],
)
def test_a_body_framed_twice_is_refused(lines: tuple[bytes, ...]) -> None:
    assert refusal_of(b"Host: h", *lines) == 400


def test_too_many_headers_are_431() -> None:
    # Many and long enough that counting them is worth while.
    assert refusal_of(*(b"X-%d: abcdefgh" % number for number in range(21))) == 431
    assert read(*(b"X-%d: abcdefgh" % number for number in range(20)))


@pytest.mark.parametrize(
    ("line", "length"),
    [
        (b"X: y", 0),
        (b"Content-Length: 0", 0),
        (b"content-length:5\t", 5),
        (b"Content-Length: 005", 5),
        (b"Transfer-Encoding: Chunked", CHUNKED),
        (b"TRANSFER-ENCODING:chunked ", CHUNKED),
    ],
)
def test_the_length_of_a_body_is_read(line: bytes, length: int) -> None:
    assert read(b"Host: h", line).length == length


def test_order_case_and_repeats_are_kept() -> None:
    lines = [b"host:h", b"X-b: 1", b"x-A:  2 ", b"X-b: 3", b"Cookie: a=b", b"cookie: c=\xff"]

    assert kept(*lines) == [*lines, *OURS]


def test_what_is_for_this_hop_stays_here() -> None:
    assert kept(
        b"Connection: keep-alive, X-Named, x-other",
        b"Host: h",
        b"Keep-Alive: 5",
        b"Proxy-Connection: keep-alive",
        b"Proxy-Authorization: secret",
        b"Proxy-Authenticate: x",
        b"TE: trailers",
        b"Trailer: X",
        b"Upgrade: h2c",
        b"Transfer-Encoding: chunked",
        b"x-named: 1",
        b"X-Other: 2",
        b"X-Other: 3",
        b"X-Others: 4",
    ) == [b"Host: h", b"X-Others: 4", *OURS]


def test_connection_cannot_take_away_what_gives_a_request_its_meaning() -> None:
    lines = [b"Host: h", b"Cookie: a", b"Authorization: b", b"Content-Length: 3"]
    names = b"Connection: Host, Cookie, Authorization, Content-Length, Transfer-Encoding"

    headers = read(names, *lines)

    assert headers.kept.split(b"\r\n")[1:] == [*lines, *OURS]
    assert headers.length == 3


def test_what_a_stranger_says_of_its_way_is_dropped() -> None:
    assert kept(
        b"Forwarded: for=1.2.3.4",
        b"X-Forwarded-For: 1.2.3.4",
        b"x-forwarded-proto: https",
        b"X-Forwarded-Host: evil",
        b"X-Forwarded-Prefix: /evil",
        b"X-Forwarded-Port: 1",
        b"X-Forwarded-Anything: 1",
        b"X-Real-IP: 1.2.3.4",
        b"X-Request-Id: 1",
        b"Host: h",
    ) == [b"Host: h", *OURS]


def test_what_a_trusted_proxy_says_is_appended_to() -> None:
    headers = read(
        b"X-Forwarded-For: 1.2.3.4",
        b"X-Forwarded-For: 5.6.7.8",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: Public.Example",
        b"X-Forwarded-Prefix: /Lab/",
        b"X-Real-IP: 1.2.3.4",
        b"X-Request-Id: 1",
        b"Host: h",
        peer=TRUSTED,
    )

    assert headers.kept.split(b"\r\n")[1:] == [
        b"X-Real-IP: 1.2.3.4",
        b"Host: h",
        b"X-Forwarded-For: 1.2.3.4, 5.6.7.8, 10.0.0.1",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: Public.Example",
    ]
    assert headers.outer_prefix == b"/Lab"
    assert headers.request_id == b"1"


@pytest.mark.parametrize("name", [b"", b"a b", b'"', b"x" * 129, b"\xe9"])
def test_a_request_keeps_no_name_that_would_spoil_a_log(name: bytes) -> None:
    headers = read(b"X-Request-Id: " + name, b"Host: h", peer=TRUSTED)

    assert headers.request_id == b""
    assert b"x-request-id" not in headers.kept.lower()


FORWARDED = (b"X-Forwarded-Proto: HTTPS, http", b"X-Forwarded-Host: a.example:8443, b", b"Host: h")


@pytest.mark.parametrize(
    ("peer", "lines", "scheme", "host"),
    [
        (STRANGER, (b"Host: H:80",), b"http", b"H:80"),
        (STRANGER, FORWARDED, b"http", b"h"),
        (STRANGER, (), b"http", b""),
        (TRUSTED, FORWARDED, b"https", b"a.example:8443"),
        (TRUSTED, (b"Host: h",), b"http", b"h"),
        (Peer(b"192.0.2.1", is_trusted=False, scheme=b"https"), (b"Host: h",), b"https", b"h"),
    ],
)
def test_the_address_a_visitor_sees_is_the_first_proxys_if_the_last_is_trusted(
    peer: Peer, lines: tuple[bytes, ...], scheme: bytes, host: bytes
) -> None:
    headers = read(*lines, peer=peer)

    assert (headers.seen_scheme, headers.seen_host) == (scheme, host)


@pytest.mark.parametrize(
    ("cookies", "forwarded"),
    [
        (b"a=1; tmpenv-session=s; b=2", [b"Cookie: a=1; b=2"]),
        (b"tmpenv-session=s", []),
        (b"tmpenv-a=s; tmpenv-b=t", []),
        (b"a=tmpenv-b;c=d", [b"Cookie: a=tmpenv-b; c=d"]),
        (b'a=1;tmpenv-x="q"', [b"Cookie: a=1"]),
    ],
)
def test_our_own_cookies_reach_the_application_alone(
    cookies: bytes, forwarded: list[bytes]
) -> None:
    headers = read(b"Host: h", b"Cookie: " + cookies)

    assert headers.kept.split(b"\r\n")[1:] == [b"Host: h", *forwarded, *OURS]
    assert headers.kept_whole.split(b"\r\n")[1:] == [b"Host: h", b"Cookie: " + cookies, *OURS]


def test_a_prefix_of_our_cookies_may_have_capitals() -> None:
    headers = read(b"Host: h", b"Cookie: a=1; Lab-x=s; lab-y=t", own_cookies_prefix=b"Lab-")

    assert headers.kept.split(b"\r\n")[1:] == [b"Host: h", b"Cookie: a=1; lab-y=t", *OURS]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((b"Connection: Upgrade", b"Upgrade: websocket"), True),
        ((b"Connection: keep-alive, upgrade", b"UPGRADE: WebSocket"), True),
        ((b"Connection: keep-alive", b"connection: upgrade", b"Upgrade: websocket"), True),
        ((b"Connection: upgrade", b"Upgrade: h2c"), False),
        ((b"Upgrade: websocket",), False),
        ((b"Connection: upgrade",), False),
    ],
)
def test_a_tunnel_must_be_asked_for_twice(lines: tuple[bytes, ...], expected: bool) -> None:
    assert read(b"Host: h", *lines).wants_websocket is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((b"Accept: text/html,*/*", b"Sec-Fetch-Mode: navigate"), True),
        ((b"Accept: text/html",), True),
        ((b"Accept: text/html", b"Sec-Fetch-Mode: cors"), False),
        ((b"Accept: */*",), False),
        ((), False),
    ],
)
def test_a_navigation_is_told_from_a_call(lines: tuple[bytes, ...], expected: bool) -> None:
    assert read(b"Host: h", *lines).is_navigation is expected


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET / HTTP/1.2", 400),
        (b"GET / HTTP/2.0", 400),
        (b"PRI * HTTP/2.0", 400),
        (b"GET / HTTP/0.9", 400),
        (b"GET / http/1.1", 400),
        (b"GET /", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET /  HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"G(T / HTTP/1.1", 400),
        (b"GET /a b HTTP/1.1", 400),
        (b"GET /\xc3\xa9 HTTP/1.1", 400),
        (b"GET /?\xc3\xa9 HTTP/1.1", 400),
        (b"GET /\x00 HTTP/1.1", 400),
        (b"GET /#x HTTP/1.1", 400),
        (b"GET /" + b"x" * 100 + b" HTTP/1.1", 414),
    ],
)
def test_a_malformed_request_line_is_refused(line: bytes, status: int) -> None:
    data = line + b"\r\nHost: h\r\n\r\n"

    with pytest.raises(Refusal) as caught:
        read_request_line(data, len(data) - 4, 100)

    assert caught.value.error.status == status


LIMITS = ProxySettings(max_head_bytes=1000, max_url_bytes=100)


def refusal_of_beginning(data: bytes) -> EdgeError | None:
    try:
        check_beginning(data, LIMITS)
    except Refusal as refusal:
        return refusal.error
    return None


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00", 400),
        (b"GET / HTTP/1.1\nHost: h\n\n", 400),
        (b"\n", 400),
        (b"\rG", 400),
        (b"G" * 65, 400),
        (b"GET / HTTP/1.1\r\nHost: h\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\rC: d", 400),
        (b"GET /" + b"x" * 200, 414),
        (b"GET /" + b"x" * 200 + b"\n", 414),
        (b"GET /" + b"x" * 100 + b"\n" + b"x" * 200, 400),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 2000, 431),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 2000 + b"\n", 431),
        (b"GET / HTTP/1.1\r\nX: \n" + b"y" * 2000, 400),
    ],
)
def test_what_cannot_become_a_head_is_refused_for_its_first_wrong_byte(
    data: bytes, status: int
) -> None:
    refused = [end for end in range(len(data) + 1) if refusal_of_beginning(data[:end])]

    errors = {refusal_of_beginning(data[:end]) for end in refused}

    assert refused == list(range(refused[0], len(data) + 1))
    assert [error.status for error in errors if error] == [status]


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n",
        b"M" * 64 + b" /" + b"x" * 99 + b" HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * (1000 - 19) + b"\r\n\r",
    ],
)
def test_every_beginning_of_a_head_is_waited_for(head: bytes) -> None:
    assert not [end for end in range(len(head) + 1) if refusal_of_beginning(head[:end])]


def test_empty_lines_before_a_head_are_taken_off_at_once() -> None:
    assert without_empty_lines(b"\r\n" * 100_000 + b"GET") == b"GET"
    assert without_empty_lines(b"\r\n\n") == b"\n"
    assert without_empty_lines(b"") == b""


token = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=12).map(str.encode)
value = st.text(
    st.characters(codec="latin-1", exclude_characters="\x7f", min_codepoint=0x20).filter(
        lambda c: not "\x7f" <= c <= "\x9f"
    ),
    max_size=30,
).map(lambda text: text.encode("latin-1").strip())
lines = st.lists(
    st.one_of(
        st.tuples(token, value),
        st.sampled_from(
            [
                (b"Connection", b"x-a, close"),
                (b"X-A", b"named"),
                (b"Transfer-Encoding", b"chunked"),
                (b"Content-Length", b"7"),
                (b"Cookie", b"a=b; tmpenv-x=y"),
                (b"X-Forwarded-For", b"1.2.3.4"),
                (b"Upgrade", b"h2c"),
                (b"Expect", b"100-continue"),
            ]
        ),
    ),
    max_size=8,
)


@given(lines)
def test_a_strict_parser_reads_from_what_is_forwarded_the_same_message(
    sent: list[tuple[bytes, bytes]],
) -> None:
    """Whatever is accepted is framed alike by us and by whoever reads it next."""
    try:
        headers = read(b"Host: h", *(name + b": " + value for name, value in sent))
    except Refusal:
        return
    framing = b"\r\nTransfer-Encoding: chunked" if headers.length == CHUNKED else b""
    server = h11.Connection(h11.SERVER)

    server.receive_data(b"POST / HTTP/1.1" + headers.kept + framing + b"\r\n\r\n")
    request = server.next_event()

    assert isinstance(request, h11.Request)
    seen = dict(request.headers)
    assert int(seen.get(b"content-length", 0)) == max(headers.length, 0)
    assert (b"transfer-encoding" in seen) == (headers.length == CHUNKED)
    assert seen[b"x-forwarded-for"] == b"192.0.2.1"
    assert b"connection" not in seen
    assert b"tmpenv-" not in seen.get(b"cookie", b"")


class Heard:
    """What llhttp calls out while it reads."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.bodies: list[bytes] = []
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.bodies.append(body)

    def on_message_complete(self) -> None:
        self.is_complete = True


@given(lines)
def test_llhttp_finds_the_end_of_the_body_where_we_do(sent: list[tuple[bytes, bytes]]) -> None:
    try:
        headers = read(b"Host: h", *(name + b": " + value for name, value in sent))
    except Refusal:
        return
    framing = b"\r\nTransfer-Encoding: chunked" if headers.length == CHUNKED else b""
    body = b"1\r\nx\r\n0\r\n\r\n" if headers.length == CHUNKED else b"x" * headers.length
    heard = Heard()

    parser = httptools.HttpRequestParser(heard)
    parser.feed_data(b"POST / HTTP/1.1" + headers.kept + framing + b"\r\n\r\n" + body)

    assert heard.is_complete
    assert b"".join(heard.bodies) == (b"x" if headers.length == CHUNKED else body)


claims = st.lists(
    st.tuples(
        st.sampled_from([b"X-Forwarded-For", b"x-forwarded-host", b"X-Forwarded-Proto", b"Via"]),
        st.sampled_from([b"1.2.3.4", b"a, b", b"", b"Public.Example", b"\xff"]),
    ),
    max_size=6,
)


@given(claims)
def test_what_a_trusted_proxy_claims_is_merged_into_one_line_each(
    sent: list[tuple[bytes, bytes]],
) -> None:
    headers = read(b"Host: h", *(name + b": " + value for name, value in sent), peer=TRUSTED)
    server = h11.Connection(h11.SERVER)

    server.receive_data(b"GET / HTTP/1.1" + headers.kept + b"\r\n\r\n")
    request = server.next_event()

    assert isinstance(request, h11.Request)
    names = [name for name, _ in request.headers if name.startswith(b"x-forwarded-")]
    assert len(set(names)) == len(names)
    assert {b"x-forwarded-for", b"x-forwarded-proto"} <= set(names)
    hops = [value for name, value in sent if name == b"X-Forwarded-For"]
    assert dict(request.headers)[b"x-forwarded-for"].endswith(TRUSTED.address)
    assert all(hop.lower() in dict(request.headers)[b"x-forwarded-for"] for hop in hops)


@given(st.binary(max_size=200))
def test_no_block_raises_anything_but_a_refusal(block: bytes) -> None:
    try:
        read(block)
    except Refusal as refusal:
        status = refusal.error.status
        assert status in (400, 431)


@pytest.mark.parametrize(
    ("lines", "is_page"),
    [
        ((b"Accept: text/html,*/*", b"Sec-Fetch-Mode: navigate"), True),
        ((b"Accept: */*", b"Sec-Fetch-Mode: Navigate"), True),
        ((b"Sec-Fetch-Mode: navigate",), True),
        ((b"Accept: text/html",), True),
        ((b"Accept: */*",), False),
        ((), False),
        ((b"Accept: text/html", b"Sec-Fetch-Mode: cors"), False),
        ((b"Accept: text/html", b"Sec-Fetch-Mode: websocket"), False),
    ],
)
def test_what_is_run_as_a_page_is_told_from_what_a_script_asks_for(
    lines: tuple[bytes, ...], is_page: bool
) -> None:
    assert read(*lines).opens_page is is_page


def test_the_script_of_a_service_worker_is_known() -> None:
    assert read(b"Service-Worker: script").is_worker_script
    assert not read(b"Service-Worker-Allowed: /").is_worker_script
