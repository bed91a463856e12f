"""The messages that the bench's visitors send, and what its backend makes of them."""

import pytest

from bench.proxy.sink import frame_of
from bench.proxy.websockets import frame_and_echo
from proxy.frames import FrameScanner


@pytest.mark.parametrize("size", [1, 100, 125, 126, 65_535, 65_536])
def test_a_message_comes_back_as_the_server_would_send_it(size: int) -> None:
    frame, echo_bytes = frame_and_echo(size)

    found = frame_of(frame + b"next")

    assert found is not None
    head, start, end = found
    echo = head + frame[start:end]
    assert (end, len(echo)) == (len(frame), echo_bytes)
    assert echo.endswith(b"x" * size)
    scanner = FrameScanner()
    assert scanner.feed(echo)
    assert scanner.is_at_boundary
    assert frame_of(frame[:-1]) is None
