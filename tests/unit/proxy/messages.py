"""Make messages: valid ones, and what becomes of them when bytes go wrong."""

import itertools
from collections.abc import Callable, Sequence

from hypothesis import strategies as st

METHODS = [b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"M-SEARCH"]
ODD_METHODS = [b"CONNECT", b"TRACE", b"PRI", b"FOO", b"get", b"G!", b"SOURCE"]
TARGETS = [
    b"/user/abc/lab",
    b"/user/abc",
    b"/user/abc?x",
    b"/user/abc/a%2Fb%20c?u=http://h//../%zz",
    b"//user/abc//api/kernels",
    b"/user/abc/api/status",
    b"/user/other/",
    b"/api/spawn",
    b"/",
    b"http://h/user/abc/x",
    b"http://h",
    b"HTTPS://h:80?x",
    b"/user/abc/../x",
    b"/user/abc/%2e%2E/x",
    b"/user/__proto__/",
    b"*",
    b"h:443",
]
LINES = [
    b"Accept: text/html,*/*;q=0.8",
    b"Connection: keep-alive",
    b"Connection: close",
    b"connection:keep-alive, X-A , x-b",
    b"Connection: Host, Content-Length, Transfer-Encoding, Cookie",
    b"Connection: upgrade",
    b"Connection: Upgrade, X-Forwarded-For",
    b"Upgrade: websocket",
    b"Upgrade: h2c, WebSocket",
    b"Upgrade: h2c",
    b"Keep-Alive: timeout=5",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authorization: Basic eA==",
    b"TE: trailers",
    b"Trailer: X-A",
    b"Expect: 100-continue",
    b"X-A: 1",
    b"x-b:2",
    b"X-A:",
    b"X-A:  \t 3\t",
    b"X-B: a:b,c; \xe4\xff",
    b"Cookie: a=b; tmpenv-session=x; c=d",
    b"cookie:tmpenv-a=b",
    b"Cookie: a=b",
    b"Authorization: token mine",
    b"Origin: https://page.example",
    b"Access-Control-Request-Method: PUT",
    b"Forwarded: for=1.2.3.4",
    b"X-Forwarded-For: 1.2.3.4",
    b"x-forwarded-Prefix: /evil",
    b"X-Forwarded-: x",
    b"X-Real-IP: 1.2.3.4",
    b"X-Request-Id: 1",
    b"Content-Type: text/plain",
]
RESPONSE_LINES = [
    *LINES[:16],
    b"Server: x",
    b"Set-Cookie: a=b",
    b"set-cookie: a=b; Path=/user/abc/; HttpOnly",
    b"Set-Cookie: a=b; Path=/",
    b"Set-Cookie: a=b; Domain=example.org; Path=/user/abc/",
    b"Set-Cookie: a=b; Path=/user/abc/; Path=x",
    b"Set-Cookie: a=b; Path=/user/abcd/",
    b"Set-Cookie: a=b; path=/user/abc",
    b"Set-Cookie:tmpenv-session=x; Path=/user/abc/",
    b"Location: http://10.0.0.5:8888/user/abc/lab?x",
    b"Location: http://10.0.0.5:8888//evil.example/",
    b"Location: /user/abc/",
    b"Service-Worker-Allowed: /",
    b"Service-Worker-Allowed: /user/abc/x/",
    b"Strict-Transport-Security: max-age=1",
    b'Clear-Site-Data: "*"',
    b"Access-Control-Allow-Origin: *",
    b"access-control-max-age: 1",
    b"Access-Control-Expose-Headers: Etag",
    b"Vary: Accept",
]
STATUSES = [
    *(b"%d" % code for code in (200, 200, 201, 204, 206, 301, 304, 400, 404, 500, 599)),
    *(b"%d" % code for code in (100, 101, 103, 199)),
]
FRAMINGS = [
    b"Content-Length: 5",
    b"content-length:05 ",
    b"Content-Length: 0",
    b"Content-Length: +5",
    b"Content-Length: 5, 5",
    b"Content-Length: 999999999999999999",
    b"Content-Length: 18446744073709551621",
    b"Content-Length:",
    b"Transfer-Encoding: chunked",
    b"transfer-encoding:Chunked\t",
    b"Transfer-Encoding: gzip, chunked",
    b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding:",
]
#: What is put in at a place where it does not belong.
SPLINTERS = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\n\n",
    b"\x00",
    b" ",
    b"\t",
    b"\r\n ",
    b":",
    b",",
    b";",
    b'"',
    b"=",
    b"\x0b",
    b"\x7f",
    b"\x85",
    b"\xff",
    b"0",
    b"5",
    b"a",
    b"%",
    b"\\",
    b"/",
    b"#",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"GET /user/abc/smuggled HTTP/1.1\r\nHost: h\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"0\r\n\r\n",
    b"FFFFFFFFFFFFFFFF",
    *(b"\r\n" + line for line in FRAMINGS),
    b"\r\nHost: x",
    b"\r\nHost : x",
    b"\r\n\tX: folded",
]

LINE_ENDS = [b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b""]

tokens = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=12).map(str.encode)
values = st.binary(max_size=20).map(lambda raw: bytes(b for b in raw if b >= 0x20 and b != 0x7F))
extra_lines = st.builds(lambda name, value: name + b": " + value.strip(), tokens, values)


def lines(known: Sequence[bytes]) -> st.SearchStrategy[list[bytes]]:
    few = st.lists(st.sampled_from(known) | extra_lines, max_size=6)
    framed = st.builds(lambda found, framing: [*found, framing], few, st.sampled_from(FRAMINGS))
    return few | few | few | framed


chunk_extensions = st.sampled_from([b"", b"", b";a", b";a=b", b';a="b;\\" c"', b" ; a = b", b";"])
chunks = st.builds(
    lambda size_format, extension, payload: (
        size_format % len(payload) + extension + b"\r\n" + payload + b"\r\n"
    ),
    st.sampled_from([b"%x", b"%X", b"%04x", b"%x "]),
    chunk_extensions,
    st.binary(min_size=1, max_size=40) | st.just(b"0\r\n\r\n"),
)
trailers = st.sampled_from([b"", b"", b"X-Trailer: a\r\n", b"Content-Length: 4\r\n", b"bad\r\n"])
chunked_bodies = st.builds(
    lambda pieces, last, trailer: b"".join(pieces) + last + b"\r\n" + trailer + b"\r\n",
    st.lists(chunks, max_size=3),
    st.sampled_from([b"0", b"000", b"0;x=y"]),
    trailers,
)
framed_bodies = st.one_of(
    st.just((b"", b"")),
    st.binary(max_size=40).map(lambda body: (b"Content-Length: %d" % len(body), body)),
    chunked_bodies.map(lambda body: (b"Transfer-Encoding: chunked", body)),
    st.tuples(st.sampled_from(FRAMINGS), st.binary(max_size=8) | chunked_bodies),
)


def message(start: bytes, fields: list[bytes], place: int, framed: tuple[bytes, bytes]) -> bytes:
    framing, body = framed
    if framing:
        fields = [
            *fields[: place % (len(fields) + 1)],
            framing,
            *fields[place % (len(fields) + 1) :],
        ]
    return b"\r\n".join((start, *fields)) + b"\r\n\r\n" + body


request_lines = st.builds(
    lambda method, target, version: method + b" " + target + b" " + version,
    st.sampled_from(METHODS) | st.sampled_from(METHODS + ODD_METHODS),
    st.sampled_from(TARGETS[:3]) | st.sampled_from(TARGETS),
    st.sampled_from([b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/1.2"]),
)
requests = st.builds(
    lambda start, host, fields, place, framed: message(start, [*host, *fields], place, framed),
    request_lines,
    st.sampled_from([[b"Host: h"]] * 8 + [[], [b"hOST:h:80", b"Host: h"]]),
    lines(LINES),
    st.integers(0, 8),
    framed_bodies,
)
responses = st.builds(
    lambda version, status, reason, fields, place, framed: message(
        version + b" " + status + reason, fields, place, framed
    ),
    st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/2"]),
    st.sampled_from(STATUSES),
    st.sampled_from([b" OK", b" ", b"", b" \xe4\t!"]),
    lines(RESPONSE_LINES),
    st.integers(0, 8),
    framed_bodies,
)

Mutation = Callable[[bytes], bytes]
places = st.integers(0, 2000)


def _insert(place: int, splinter: bytes) -> Mutation:
    return lambda data: data[: (at := place % (len(data) + 1))] + splinter + data[at:]


def _insert_at_line(place: int, splinter: bytes) -> Mutation:
    def mutate(data: bytes) -> bytes:
        ends = [i for i in range(len(data)) if data.startswith(b"\r\n", i)] or [0]
        at = ends[place % len(ends)]
        return data[:at] + splinter + data[at:]

    return mutate


def _cut_out(place: int, size: int) -> Mutation:
    return lambda data: data[: (at := place % (len(data) + 1))] + data[at + size :]


def _put(place: int, byte: int) -> Mutation:
    return lambda data: data[: (at := place % (len(data) + 1))] + bytes([byte]) + data[at + 1 :]


def _repeat_line(place: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        found = data.split(b"\r\n")
        at = place % len(found)
        return b"\r\n".join((*found[:at], found[at], *found[at:]))

    return mutate


def _spoil_line_end(place: int, spoiled: bytes) -> Mutation:
    def mutate(data: bytes) -> bytes:
        found = data.split(b"\r\n")
        at = place % len(found)
        return b"\r\n".join(found[:at]) + (spoiled if at else b"") + b"\r\n".join(found[at:])

    return mutate


def _pad_colon(place: int, padding: bytes) -> Mutation:
    def mutate(data: bytes) -> bytes:
        at = data.find(b":", place % (len(data) + 1))
        return data if at < 0 else data[:at] + padding + data[at:]

    return mutate


def _swap_case(place: int) -> Mutation:
    def mutate(data: bytes) -> bytes:
        at = place % (len(data) + 1)
        return data[:at] + data[at : at + 20].swapcase() + data[at + 20 :]

    return mutate


def _end(place: int) -> Mutation:
    return lambda data: data[: place % (len(data) + 1)]


mutations = st.one_of(
    st.builds(_insert, places, st.sampled_from(SPLINTERS)),
    st.builds(_insert_at_line, places, st.sampled_from(SPLINTERS)),
    st.builds(_cut_out, places, st.integers(1, 3)),
    st.builds(_put, places, st.integers(0, 255)),
    st.builds(_repeat_line, places),
    st.builds(_spoil_line_end, places, st.sampled_from(LINE_ENDS)),
    st.builds(_pad_colon, places, st.sampled_from([b" ", b"\t"])),
    st.builds(_swap_case, places),
    st.builds(_end, places),
)


def _mutate(messages: list[bytes], chain: list[Mutation]) -> bytes:
    data = b"".join(messages)
    for mutation in chain:
        data = mutation(data)
    return data


def mutated(messages: st.SearchStrategy[bytes], most: int) -> st.SearchStrategy[bytes]:
    """Return up to ``most`` messages behind each other, of which bytes may have gone wrong."""
    return st.builds(
        _mutate,
        st.lists(messages, min_size=1, max_size=most),
        st.one_of(st.just([]), st.lists(mutations, max_size=3)),
    )


request_bytes = mutated(requests, 3)
response_bytes = mutated(responses, 2)
cut_places = st.lists(places, max_size=8)


def cut(data: bytes, where: Sequence[int]) -> list[bytes]:
    """Return ``data`` in pieces, none of them empty."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in where)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def bytewise(data: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in data]


frames = st.builds(
    lambda first, is_masked, form, payload: (
        bytes([first, (len(payload), 126, 127)[form] | 128 * is_masked])
        + (b"", b"\x00", b"\x00" * 7)[form]
        + bytes([len(payload)] if form else [])
        + b"mask" * is_masked
        + payload
    ),
    st.sampled_from([0x81, 0x82, 0x01, 0x00, 0x80, 0xC1, 0x88, 0x89, 0x8A]) | st.integers(0, 255),
    st.booleans(),
    st.sampled_from([0, 0, 1, 2]),
    st.binary(max_size=125),
)
frame_streams = st.lists(frames, max_size=5).map(b"".join) | mutated(frames, 3) | st.binary()
