"""Frames are found by their headers, however the stream is cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage

from proxy.frames import FrameScanner, close_frame
from tests.unit.proxy.messages import cut, cut_places
from tests.unit.proxy.tunnel_oracle import read_frames


def frame(opcode: int, payload: bytes, *, mask: bool, form: int = 0) -> bytes:
    """Return a frame whose length takes 0, 2 or 8 more bytes, at least as many as it needs."""
    size = len(payload)
    form = max(form, 0 if size < 126 else 2 if size < 65536 else 8)
    length = {0: size, 2: 126, 8: 127}[form]
    head = bytes([0x80 | opcode, length | (0x80 if mask else 0)])
    extended = size.to_bytes(form, "big") if form else b""
    return head + extended + (b"mask" if mask else b"") + payload


frames = st.lists(
    st.builds(
        lambda opcode, payload, mask, form: (opcode, frame(opcode, payload, mask=mask, form=form)),
        st.sampled_from([0, 1, 2, 9, 10]),
        st.binary(max_size=200),
        st.booleans(),
        st.sampled_from([0, 2, 8]),
    ),
    min_size=1,
    max_size=6,
)


@given(frames, st.lists(st.integers(0, 1500), max_size=10))
def test_7_11_any_cut_ends_at_a_boundary_and_dates_the_same_frames(
    sent: list[tuple[int, bytes]], places: list[int]
) -> None:
    stream = b"".join(data for _, data in sent)
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    scanner = FrameScanner()

    found = [scanner.feed(stream[a:b]) for a, b in itertools.pairwise(edges)]

    assert scanner.is_at_boundary
    assert any(found) == any(opcode < 8 for opcode, _ in sent)
    assert not scanner.has_closed


@given(frames)
def test_one_byte_at_a_time_is_at_a_boundary_only_between_frames(
    sent: list[tuple[int, bytes]],
) -> None:
    scanner = FrameScanner()

    for _, data in sent:
        for index, byte in enumerate(data):
            scanner.feed(bytes([byte]))
            assert scanner.is_at_boundary == (index == len(data) - 1)


@given(st.binary(max_size=300), cut_places)
def test_a_model_that_knows_no_reads_finds_the_same_in_any_bytes(
    data: bytes, where: list[int]
) -> None:
    scanner = FrameScanner()

    found = [scanner.feed(piece) for piece in cut(data, where)]

    model = read_frames(data)
    assert any(found) == any(one.is_data for one in model)
    assert scanner.has_closed == any(one.opcode == 8 for one in model)
    assert scanner.is_at_boundary == (model[-1].end == len(data) if model else not data)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("form", [0, 2, 8])
@pytest.mark.parametrize("mask", [True, False])
def test_each_first_byte_in_each_form_is_one_frame(size: int, form: int, mask: bool) -> None:
    """Reserved bits and opcodes too: what they mean is for the peers to say."""
    for first in range(256):
        data = bytes([first]) + frame(0, bytes(size), mask=mask, form=form)[1:]
        scanner = FrameScanner()

        heads = [scanner.feed(data[at : at + 1]) for at in range(14)]
        rest = scanner.feed(data[14:])

        assert scanner.is_at_boundary
        assert any((*heads, rest)) == (first % 16 < 8)
        assert scanner.has_closed == (first % 16 == 8)


events = st.one_of(
    st.builds(TextMessage, st.text(max_size=200), message_finished=st.booleans()),
    st.builds(BytesMessage, st.binary(max_size=200), message_finished=st.booleans()),
    st.builds(Ping, st.binary(max_size=125)),
    st.builds(Pong, st.binary(max_size=125)),
)


@given(st.sampled_from(ConnectionType), st.lists(events, max_size=6), cut_places)
def test_what_wsproto_writes_ends_where_we_find_it(
    side: ConnectionType, sent: list[Event], where: list[int]
) -> None:
    peer = Connection(side)
    scanner = FrameScanner()

    for event in sent:
        try:
            written = peer.send(event)
        except TypeError:  # a text within a binary message
            continue
        found = [scanner.feed(piece) for piece in cut(written, where)]
        assert scanner.is_at_boundary
        assert any(found) == isinstance(event, Message)
    scanner.feed(peer.send(CloseConnection(1000, "over")))

    assert scanner.is_at_boundary
    assert scanner.has_closed


@pytest.mark.parametrize("opcode", [0, 1, 2])
def test_the_rest_of_a_long_data_frame_is_data(opcode: int) -> None:
    data = frame(opcode, b"x" * 70_000, mask=True)
    scanner = FrameScanner()

    assert [scanner.feed(data[:100]), scanner.feed(data[100:]), scanner.is_at_boundary] == [
        True,
        True,
        True,
    ]


@pytest.mark.parametrize("opcode", [8, 9, 10])
def test_control_frames_are_not_data(opcode: int) -> None:
    scanner = FrameScanner()

    assert not scanner.feed(frame(opcode, b"payload", mask=False))
    assert scanner.has_closed == (opcode == 8)


def test_7_11_a_payload_that_looks_like_frames_is_skipped() -> None:
    scanner = FrameScanner()

    scanner.feed(frame(9, close_frame(1001) * 3, mask=False))

    assert not scanner.has_closed


def test_a_close_frame_of_ours_is_one() -> None:
    scanner = FrameScanner()

    scanner.feed(close_frame(1001))

    assert scanner.has_closed
    assert close_frame(1001) == b"\x88\x02\x03\xe9"
