"""Where bodies end, however their bytes are cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BadBody
from proxy.framing import CHUNKED, UNTIL_CLOSE, Body, body_of


def feed(body: Body, pieces: list[bytes]) -> bytes:
    out = b""
    for piece in pieces:
        if body.done:
            body.rest += piece
        elif piece:
            out += body.feed(piece)
    return out


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def unchunk(data: bytes) -> bytes:
    payload = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert data == b"\r\n"
            return payload
        payload += data[:length]
        assert data[length : length + 2] == b"\r\n"
        data = data[length + 2 :]


ACCEPTED = [
    (b"0\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"00005\r\nhello\r\n000\r\n\r\n", b"hello"),
    (b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
    (b"5;name=value\r\nhello\r\n0;last\r\n\r\n", b"hello"),
    (b'5;a="b;\\"c";d;e=f\r\nhello\r\n0\r\n\r\n', b"hello"),
    (b"5\r\nhello\r\n0\r\nX-Trailer: a\r\nContent-Lengths: 4\r\n\r\n", b"hello"),
    (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
]

REFUSED = [
    b"\r\n",
    b"g\r\n",
    b"-1\r\n",
    b"+5\r\nhello\r\n",
    b"0x5\r\nhello\r\n",
    b" 5\r\nhello\r\n",
    b"5 \r\nhello\r\n",
    b"5\nhello\n0\n\n",
    b"5\r\nhello\n",
    b"5\r\nhelloX\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5\r\nhello\r0\r\n\r\n",
    b"5 ;a\r\nhello\r\n",
    b"5; a\r\nhello\r\n",
    b"5;\r\nhello\r\n",
    b"5;a=\r\nhello\r\n",
    b'5;a="b\r\nhello\r\n',
    b'5;a="b"c\r\nhello\r\n',
    b"5;a\nb\r\nhello\r\n",
    b"5;a\x00b\r\nhello\r\n",
    b"5;a\rb\r\nhello\r\n",
    b"FFFFFFFFFFFFFFFF\r\n",
    b"10000000000000005\r\nhello\r\n",
    b"4000000000000001\r\n",
    b"0" * 17 + b"5\r\nhello\r\n",
    b"5;" + b"x" * 5000,
    b"0\r\nno trailer\r\n\r\n",
    b"0\r\nContent-Length: 4\r\n\r\n",
    b"0\r\nX: y\r\ntransfer-ENCODING: chunked\r\n\r\n",
    b"0\r\n folded: x\r\n\r\n",
    b"0\r\nname : x\r\n\r\n",
    b"0\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"0\r\n\n",
]


@pytest.mark.parametrize(("wire", "payload"), ACCEPTED)
def test_chunks_are_framed_anew(wire: bytes, payload: bytes) -> None:
    body = body_of(CHUNKED, framed=True)

    out = feed(body, [wire + b"GET"])

    assert body.done
    assert body.rest == b"GET"
    assert unchunk(out) == payload
    assert b"Trailer" not in out
    assert b";" not in out.replace(payload, b"")


@pytest.mark.parametrize(("wire", "payload"), ACCEPTED)
def test_chunks_are_taken_off_where_they_cannot_be_read(wire: bytes, payload: bytes) -> None:
    assert feed(body_of(CHUNKED, framed=False), [wire]) == payload


@pytest.mark.parametrize("wire", REFUSED)
@pytest.mark.parametrize("at_once", [True, False])
def test_chunks_that_could_be_read_in_two_ways_are_refused(wire: bytes, at_once: bool) -> None:
    pieces = [wire] if at_once else [bytes([byte]) for byte in wire]

    with pytest.raises(BadBody):
        feed(body_of(CHUNKED, framed=True), pieces)


chunked = st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.booleans()), max_size=6).map(
    lambda chunks: (
        b"".join(data for data, _ in chunks),
        b"".join(
            (b"%X;ext\r\n" if extended else b"%x\r\n") % len(data) + data + b"\r\n"
            for data, extended in chunks
        )
        + b"0\r\n\r\n",
    )
)
places = st.lists(st.integers(0, 400), max_size=12)


@given(chunked, places, st.binary(max_size=10))
def test_any_cut_of_a_chunked_body_gives_the_same_payload(
    message: tuple[bytes, bytes], where: list[int], behind: bytes
) -> None:
    payload, wire = message
    body = body_of(CHUNKED, framed=True)

    out = feed(body, cut(wire + behind, where))

    assert body.done
    assert unchunk(out) == payload
    assert body.rest == behind


@given(st.binary(max_size=100), places, st.binary(max_size=10))
def test_any_cut_of_a_sized_body_gives_the_same_bytes(
    payload: bytes, where: list[int], behind: bytes
) -> None:
    body = body_of(len(payload), framed=True)

    out = feed(body, cut(payload + behind, where))

    assert body.done
    assert (out, body.rest) == (payload, behind)


tokens = st.sampled_from(
    [b"5", b"0", b"\r\n", b"hello", b"5\r\nhello\r\n", b"\r", b"\n", b";x", b"A: b", b" ", b"\x00"]
)


@given(st.lists(tokens, max_size=8).map(b"".join), places)
def test_no_bytes_raise_anything_but_a_bad_body(data: bytes, where: list[int]) -> None:
    """And what one cut refuses, no other cut accepts."""
    outcomes = []
    for pieces in (cut(data, where), cut(data, []), [bytes([byte]) for byte in data]):
        body = body_of(CHUNKED, framed=False)
        try:
            outcomes.append((feed(body, pieces), body.done, body.rest))
        except BadBody:
            outcomes.append((b"", False, b"refused"))

    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_a_body_until_close_ends_with_its_stream() -> None:
    framed, bare = body_of(UNTIL_CLOSE, framed=True), body_of(UNTIL_CLOSE, framed=False)

    assert unchunk(framed.feed(b"hello") + framed.close()) == b"hello"
    assert bare.feed(b"hello") + bare.close() == b"hello"


@pytest.mark.parametrize("length", [5, CHUNKED])
def test_a_body_that_stops_short_is_bad(length: int) -> None:
    body = body_of(length, framed=True)
    body.feed(b"3\r\n")

    with pytest.raises(BadBody):
        body.close()
