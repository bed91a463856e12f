"""Whatever is sent, everybody reads it alike, and however it is cut.

The real protocols carry messages that are valid, nearly valid and no messages at all.
What must be true of each is said in ``request_oracle``, ``response_oracle`` and
``tunnel_oracle``; here are the bytes.
"""

import time

from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.settings import ProxySettings
from tests.unit.proxy.messages import (
    bytewise,
    cut,
    cut_places,
    frame_streams,
    request_bytes,
    response_bytes,
)
from tests.unit.proxy.request_oracle import check_requests, converse
from tests.unit.proxy.response_oracle import ANSWERING, ASKS, answer, check_responses
from tests.unit.proxy.tunnel_oracle import check_tunnel

NARROW = ProxySettings(max_head_bytes=300, max_url_bytes=60)
NARROW_ANSWERS = ANSWERING.model_copy(update={"max_response_head_bytes": 200})
# A conversation takes longer than what hypothesis allows by default on a busy machine.
unhurried = settings(deadline=None, max_examples=200, derandomize=True)
GET = b"GET /user/abc/lab HTTP/1.1\r\nHost: h\r\n"

asks = st.sampled_from(sorted(ASKS))


@unhurried
@given(request_bytes, cut_places)
def test_requests_are_read_alike_by_all_and_however_they_are_cut(
    data: bytes, where: list[int]
) -> None:
    check_requests(data, [cut(data, where)])


@unhurried
@given(st.binary(max_size=60) | request_bytes, cut_places)
def test_at_the_limits_too_requests_are_the_same_however_they_are_cut(
    data: bytes, where: list[int]
) -> None:
    check_requests(data, [cut(data, where), bytewise(data)], NARROW)


@settings(unhurried, max_examples=100)
@given(st.integers(280, 320), st.integers(40, 80), st.integers(0, 80), st.binary(max_size=3))
@example(head_bytes=300, target_bytes=60, method_bytes=64, behind=b"")
def test_one_byte_more_than_a_limit_is_too_much_however_it_arrives(
    head_bytes: int, target_bytes: int, method_bytes: int, behind: bytes
) -> None:
    line = b"M" * method_bytes + b" /" + b"x" * (target_bytes - 1) + b" HTTP/1.1\r\nHost: h\r\nX: "
    data = line + b"y" * (head_bytes - len(line)) + b"\r\n\r\n" + behind

    check_requests(data, [bytewise(data), cut(data, [head_bytes + 1, head_bytes + 3])], NARROW)


@unhurried
@given(response_bytes, asks, st.booleans(), cut_places)
def test_answers_are_read_alike_by_all_and_however_they_are_cut(
    data: bytes, ask: str, ends: bool, where: list[int]
) -> None:
    check_responses(data, ASKS[ask], [cut(data, where)], ends=ends)


@unhurried
@given(st.binary(min_size=1, max_size=60) | response_bytes, asks, st.booleans())
def test_at_the_limits_too_answers_are_the_same_however_they_are_cut(
    data: bytes, ask: str, ends: bool
) -> None:
    check_responses(data, ASKS[ask], [bytewise(data)], ends=ends, settings=NARROW_ANSWERS)


@unhurried
@given(frame_streams, frame_streams, cut_places, cut_places)
def test_frames_cross_untouched_and_are_found_however_they_are_cut(
    sent: bytes, answered: bytes, mine: list[int], theirs: list[int]
) -> None:
    cuts = [(cut(sent, mine), cut(answered, theirs)), (bytewise(sent), bytewise(answered))]
    check_tunnel(sent, answered, cuts)


def test_pipelined_requests_are_answered_in_order_behind_a_body() -> None:
    data = (
        GET
        + b"Content-Length: 5\r\n\r\nhello"
        + GET.replace(b"GET", b"PUT")
        + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"
        + GET.replace(b"GET", b"HEAD")
        + b"\r\n"
        + GET.replace(b"/user/abc/lab", b"/last")
        + b"\r\n"
    )

    talk = check_requests(data, [bytewise(data)])

    assert [(one.start[0], one.body) for one in talk.requests] == [
        (b"GET", b"hello"),
        (b"PUT", b"ab"),
        (b"HEAD", b""),
        (b"GET", b""),
    ]


def test_heads_that_dribble_cost_little_for_each_byte() -> None:
    """Else a few visitors, or one environment, would hold up everybody."""
    head = b"X: " + b"y" * 20_000 + b"\r\n\r\n"
    request, response = GET + head, b"HTTP/1.1 204 X\r\n" + head
    before = time.process_time()

    talk = converse(bytewise(request))
    answered = answer(bytewise(response), ASKS["get"], ends=False)

    assert time.process_time() - before < 5
    assert len(talk.requests) == 1
    assert answered.to_visitor.startswith(b"HTTP/1.1 204 ")


def test_empty_lines_before_a_head_are_skipped_in_any_number() -> None:
    data = b"\r\n" * 50_000 + GET + b"\r\n"

    talk = check_requests(data, [cut(data, [1, 999, 2000])])

    assert [one.start[1] for one in talk.requests] == [b"/user/abc/lab"]
