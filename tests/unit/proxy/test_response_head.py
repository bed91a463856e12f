"""What an environment's head may say to a browser."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BadResponse
from proxy.framing import CHUNKED, UNTIL_CLOSE
from proxy.response_head import (
    ResponseHead,
    ResponseHeaders,
    ResponseReader,
    ResponseRules,
    environment_rules,
    own_host_rules,
    without_length,
)
from proxy.settings import ProxySettings


def rules(**settings: bool) -> ResponseRules:
    return environment_rules(ProxySettings.model_validate(settings), b"/user/abc", "10.0.0.5", 8888)


def read(
    *lines: bytes, under: ResponseRules | None = None, at_prefix: bool = False
) -> ResponseHeaders:
    return read_block(b"".join(b"\r\n" + line for line in lines), under, at_prefix=at_prefix)


def read_block(
    block: bytes, under: ResponseRules | None = None, *, at_prefix: bool = False
) -> ResponseHeaders:
    reader = ResponseReader(under or rules(), 10_000)
    head = reader.read(b"HTTP/1.1 200 OK" + block + b"\r\n\r\n", at_prefix=at_prefix)
    assert head is not None
    return head.headers


def read_head(data: bytes, max_bytes: int = 1000) -> ResponseHead | None:
    return ResponseReader(rules(), max_bytes).read(data, at_prefix=False)


def kept(*lines: bytes, under: ResponseRules | None = None, at_prefix: bool = False) -> list[bytes]:
    return read(*lines, under=under, at_prefix=at_prefix).kept.split(b"\r\n")[1:]


def test_order_case_and_repeats_are_kept() -> None:
    lines = [b"server:x", b"Set-Cookie: a=b", b"X-b:  1 ", b"set-cookie: c=d; Path=/user/abc/"]

    assert kept(*lines) == lines


def test_what_is_for_this_hop_stays_here() -> None:
    assert kept(
        b"Connection: keep-alive, X-Named, set-cookie",
        b"Keep-Alive: timeout=5",
        b"Proxy-Authenticate: x",
        b"Trailer: X",
        b"Transfer-Encoding: chunked",
        b"Upgrade: h2c",
        b"X-Named: 1",
        b"Set-Cookie: a=b",
        b"X: y",
    ) == [b"Set-Cookie: a=b", b"X: y"]


COOKIES_OF_OTHERS = [
    b"a=b; Domain=example.org",
    b"a=b; domain=.example.org; Path=/user/abc/",
    b"a=b; Path=/",
    b"a=b; path=/user/",
    b"a=b; Path=/user/abcd/",
    b"a=b; Path=/user/ABC/",
    b"a=b;Path=/user/abc/;Path=/",
    b"a=b; Secure; Path = / ",
    b"tmpenv-session=x; Path=/user/abc/",
    b"=tmpenv-session=x; Path=/user/abc/",
    b" = tmpenv-session=x",
    b"__Host-a=b; Path=/; Secure",
]
OWN_COOKIES = [
    b"a=b",
    b"a=b; Path=/user/abc",
    b"a=b; Path=/user/abc/; HttpOnly",
    b"a=b; Path=/user/abc/lab; Max-Age=5",
    b"a=Path=/; Path=/user/abc/",
    b"a=b; Path=relative",
]


@pytest.mark.parametrize("cookie", COOKIES_OF_OTHERS)
def test_a_cookie_that_reaches_beyond_the_prefix_is_dropped(cookie: bytes) -> None:
    line = b"Set-Cookie: " + cookie

    assert kept(b"X: y", line) == [b"X: y"]
    assert kept(line, under=rules(allow_wide_cookies=True)) == [line]
    assert kept(line, under=ResponseRules()) == [line]


@pytest.mark.parametrize("cookie", OWN_COOKIES)
def test_a_cookie_within_the_prefix_is_kept(cookie: bytes) -> None:
    assert kept(b"Set-Cookie: " + cookie) == [b"Set-Cookie: " + cookie]


def test_a_cookie_without_a_path_is_dropped_where_it_would_be_the_parents() -> None:
    assert kept(b"Set-Cookie: a=b", at_prefix=True) == []
    assert kept(b"Set-Cookie: a=b; Path=/user/abc/", at_prefix=True) != []
    assert kept(b"Set-Cookie: a=b; Path=/user/abc/; Path=x", at_prefix=True) == []


@pytest.mark.parametrize(
    ("scope", "is_kept"),
    [
        (b"/user/abc/", True),
        (b"/user/abc/lab/", True),
        (b"/user/abc", False),
        (b"/", False),
        (b"/user/", False),
        (b"/user/abcd/", False),
        (b"/user/abc/../", False),
        (b"/user/abc/%2E%2e/", False),
        (b"/user/abc/\\..", False),
        (b"/user/abc/.\t./", False),
        (b"../", False),
        (b"https://h/user/abc/", False),
    ],
)
def test_a_service_worker_stays_within_the_prefix(scope: bytes, is_kept: bool) -> None:
    line = b"Service-Worker-Allowed: " + scope

    assert kept(line) == ([line] if is_kept else [])
    assert kept(line, under=rules(allow_wide_service_workers=True)) == [line]


@pytest.mark.parametrize(
    ("line", "setting"),
    [
        (b'Clear-Site-Data: "*"', "allow_clear_site_data"),
        (b"Strict-Transport-Security: max-age=1", "allow_strict_transport_security"),
        (b'Alt-Svc: h2=":443"', "allow_alt_svc"),
        (b"Public-Key-Pins: x", "allow_public_key_pins"),
        (b"Public-Key-Pins-Report-Only: x", "allow_public_key_pins"),
    ],
)
def test_a_policy_for_the_whole_site_is_dropped_unless_allowed(line: bytes, setting: str) -> None:
    assert kept(line) == []
    assert kept(line, under=rules(**{setting: True})) == [line]


@pytest.mark.parametrize(
    ("location", "relayed"),
    [
        (b"http://10.0.0.5:8888/user/abc/lab?x", b"/user/abc/lab?x"),
        (b"HTTP://10.0.0.5:8888/user/abc/", b"/user/abc/"),
        (b"http://10.0.0.5:8888", b"/"),
        (b"http://10.0.0.5:8888?x", b"/?x"),
        (b"http://10.0.0.5:8888//evil.example/", b"/evil.example/"),
        (b"http://10.0.0.5:8888/\\evil.example/", b"/evil.example/"),
        (b"http://10.0.0.5:8888/\t/evil.example/", b"/evil.example/"),
        (b"http://10.0.0.5:88889/", b"http://10.0.0.5:88889/"),
        (b"http://10.0.0.5/", b"http://10.0.0.5/"),
        (b"https://10.0.0.5:8888/", b"https://10.0.0.5:8888/"),
        (b"https://example.org/", b"https://example.org/"),
        (b"/user/abc/lab", b"/user/abc/lab"),
        (b"../lab", b"../lab"),
    ],
)
def test_a_location_is_rewritten_only_where_it_names_the_environments_address(
    location: bytes, relayed: bytes
) -> None:
    assert kept(b"Location: " + location) == [b"Location: " + relayed]


def test_the_edge_alone_answers_for_origins() -> None:
    assert kept(
        b"Access-Control-Allow-Origin: *",
        b"access-control-allow-credentials: true",
        b"Access-Control-Allow-Headers: x",
        b"Access-Control-Allow-Methods: x",
        b"Access-Control-Max-Age: 1",
        b"Access-Control-Expose-Headers: Etag",
    ) == [b"Access-Control-Expose-Headers: Etag"]


@pytest.mark.parametrize(
    ("line", "length"),
    [
        (b"X: y", UNTIL_CLOSE),
        (b"Content-Length: 12", 12),
        (b"transfer-encoding: Chunked", CHUNKED),
    ],
)
def test_the_length_of_a_body_is_read(line: bytes, length: int) -> None:
    assert read(line).length == length


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 5", b"Content-Length: 6"),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 5, 6",),
        (b"Content-Length: -1",),
        (b"Content-Length:",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked\t",),
        (b" folded",),
        (b"Name : x",),
        (b"no colon",),
        (b"N: a\x00b",),
        (b"N: a\nb",),
    ],
)
def test_what_can_be_read_in_two_ways_is_not_relayed(lines: tuple[bytes, ...]) -> None:
    with pytest.raises(BadResponse):
        read(*lines)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK", b"200 OK"),
        (b"HTTP/1.0 404 ", b"404 "),
        (b"HTTP/1.1 200", b"200"),
        (b"HTTP/1.1 599 \xe4\t!", b"599 \xe4\t!"),
        (b"HTTP/1.1 99 x", None),
        (b"HTTP/1.1 600 x", None),
        (b"HTTP/1.1 2000", None),
        (b"HTTP/2 200 OK", None),
        (b"HTTP/1.2 200 OK", None),
        (b"HTTP/1.1  200 OK", None),
        (b"HTTP/1.1 200 a\rb", None),
        (b"ICY 200 OK", None),
    ],
)
def test_a_status_line_is_read_strictly(line: bytes, status: bytes | None) -> None:
    try:
        head = read_head(line + b"\r\nX: y\r\n\r\n")
    except BadResponse:
        head = None

    assert (head.status if head else None) == status


def test_a_head_is_waited_for_and_never_longer_than_its_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"

    waiting = [read_head(head[:end], len(head)) for end in range(1, len(head))]

    assert waiting == [None] * len(waiting)
    assert read_head(head + b"body", len(head)) is not None
    for data in (head, head[:-1]):
        with pytest.raises(BadResponse):
            read_head(data, len(head) - 2)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", "malformed"),
        (b"HTTP/1.1 200 OK\r\nX: y\rZ", "malformed"),
        (b"HTTP/2", "malformed"),
        (b"\r\n\r\n" + b"x" * 100, "malformed"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100 + b"\n", "too long"),
        (b"HTTP/1.1 200 OK\r\nX: \n" + b"y" * 100, "malformed"),
    ],
)
def test_what_cannot_become_a_head_is_refused_for_its_first_wrong_byte(
    data: bytes, reason: str
) -> None:
    reasons = []
    for end in range(1, len(data) + 1):
        try:
            read_head(data[:end], 60)
        except BadResponse as error:
            reasons.append(str(error))

    assert set(reasons) == {f"its head is {reason}."}


def test_a_head_that_comes_again_is_read_as_at_first() -> None:
    reader = ResponseReader(rules(), 1000)
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n"
    others = [head.replace(b"a=b", b"a=%d" % number) for number in range(20)]

    first = reader.read(head + b"ok", at_prefix=False)
    assert first is not None
    assert first.headers.kept == b"\r\nSet-Cookie: a=b\r\nContent-Length: 2"
    for other in others:
        found = reader.read(other, at_prefix=False)
        assert found is not None
        assert found.headers.kept in other
    assert reader.read(head + b"more", at_prefix=False) == first


def test_what_was_read_elsewhere_says_nothing_of_the_bare_prefix() -> None:
    reader = ResponseReader(rules(), 1000)
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\n\r\n"
    kept = []
    for at_prefix in (False, True, False):
        found = reader.read(head, at_prefix=at_prefix)
        assert found is not None
        kept.append(found.headers.kept)

    assert kept == [b"\r\nSet-Cookie: a=b", b"", b"\r\nSet-Cookie: a=b"]


def test_a_length_can_be_taken_off() -> None:
    assert without_length(b"\r\nA: b\r\nContent-LENGTH: 5\r\nC: d") == b"\r\nA: b\r\nC: d"


names = st.sampled_from(
    [b"Content-Length", b"Transfer-Encoding", b"Connection", b"Set-Cookie", b"Location", b"X"]
)
values = st.sampled_from(
    [b"5", b"chunked", b"close", b"x", b"a=b; Path=/", b"http://10.0.0.5:8888/x", b"\xff"]
)


@given(st.lists(st.tuples(names, values), max_size=6))
def test_a_strict_parser_reads_what_is_relayed(sent: list[tuple[bytes, bytes]]) -> None:
    try:
        headers = read(*(name + b": " + value for name, value in sent))
    except BadResponse:
        return
    framing = b"\r\nTransfer-Encoding: chunked" if headers.length == CHUNKED else b""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "h")]))
    client.send(h11.EndOfMessage())

    client.receive_data(b"HTTP/1.1 200 OK" + headers.kept + framing + b"\r\n\r\n")
    response = client.next_event()

    assert isinstance(response, h11.Response)
    seen = dict(response.headers)
    assert (b"content-length" in seen) == (headers.length >= 0)
    assert b"connection" not in seen


@given(st.binary(max_size=200))
def test_no_block_raises_anything_but_a_bad_response(block: bytes) -> None:
    try:
        headers = read_block(block)
    except BadResponse:
        return

    assert headers.length >= UNTIL_CLOSE


OWN_HOST = b"abc.envs.example.org"


def rules_on_own_host(**settings: bool) -> ResponseRules:
    return own_host_rules(rules(**settings), OWN_HOST)


@pytest.mark.parametrize(
    "line",
    [
        b"Set-Cookie: a=b",
        b"Set-Cookie: a=b; Path=/",
        b"Set-Cookie: a=b; Path=/user/other/",
        b"Set-Cookie: __Host-a=b; Path=/; Secure",
        b"Set-Cookie: a=b; Domain=abc.envs.example.org",
        b"Set-Cookie: a=b; domain=.ABC.envs.example.org; Path=/",
        b"Service-Worker-Allowed: /",
        b"Strict-Transport-Security: max-age=1; includeSubDomains",
        b'Alt-Svc: h2=":443"',
        b"Public-Key-Pins: x",
    ],
)
def test_what_ends_at_its_own_host_is_an_environments_own_business(line: bytes) -> None:
    assert kept(line, under=rules_on_own_host()) == [line]
    assert kept(line, under=rules_on_own_host(), at_prefix=True) == [line]


@pytest.mark.parametrize(
    "cookie",
    [
        b"a=b; Domain=envs.example.org",
        b"a=b; Domain=.envs.example.org",
        b"a=b; Domain=other.envs.example.org",
        b"a=b; Domain=x.abc.envs.example.org",
        b"a=b; Domain=..abc.envs.example.org",
        b"a=b; Domain=abc.envs.example.org; Domain=envs.example.org",
        b"a=b; Domain=",
        b"a=b; Domain",
        b"tmpenv-session=x",
    ],
)
def test_a_cookie_for_other_hosts_is_dropped_on_its_own_host_too(cookie: bytes) -> None:
    line = b"Set-Cookie: " + cookie

    assert kept(b"X: y", line, under=rules_on_own_host()) == [b"X: y"]
    assert kept(line, under=rules_on_own_host(allow_wide_cookies=True)) == [line]


def test_data_of_the_whole_domain_cannot_be_cleared_from_one_host() -> None:
    line = b'Clear-Site-Data: "cookies"'

    assert kept(line, under=rules_on_own_host()) == []
    assert kept(line, under=rules_on_own_host(allow_clear_site_data=True)) == [line]


def test_the_edge_alone_answers_for_origins_on_own_hosts_too() -> None:
    line = b"Access-Control-Allow-Origin: *"

    assert kept(line, b"Keep-Alive: x", under=rules_on_own_host()) == []


def test_without_a_host_of_its_own_an_empty_domain_is_dropped() -> None:
    assert kept(b"Set-Cookie: a=b; Domain=") == []
