"""Say what must be true of whatever crosses a WebSocket, either way.

Bytes cross as they come. The frames in them are found here by a model that knows nothing
of reads: it says whether data crossed, and where a frame may be put in.
"""

import io
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from proxy.activity import ActivityEntry
from proxy.frames import close_frame
from proxy.tunnel import GOING_AWAY
from tests.unit.proxy.wires import Wires

HANDSHAKE = (
    b"GET /user/abc/api/kernels/x/channels HTTP/1.1\r\nHost: h\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
CLOSE = 8


class Frame(NamedTuple):
    """A frame whose header is whole."""

    opcode: int
    end: int  # where its payload ends, or would

    @property
    def is_data(self) -> bool:
        return self.opcode < CLOSE


def read_frames(data: bytes) -> list[Frame]:
    """Return the frames in ``data`` (RFC 6455 §5.2), the last of which may not be whole."""
    frames: list[Frame] = []
    stream = io.BytesIO(data)
    while len(header := stream.read(2)) == 2:
        is_masked, short = divmod(header[1], 128)
        extended_bytes = {126: 2, 127: 8}.get(short, 0)
        extended = stream.read(extended_bytes)
        mask = stream.read(4 * is_masked)
        if len(extended) + len(mask) < extended_bytes + 4 * is_masked:
            break
        length = int.from_bytes(extended, "big") if extended else short
        frames.append(Frame(header[0] % 16, stream.tell() + length))
        stream.seek(min(frames[-1].end, len(data)))
    return frames


def may_be_followed(data: bytes) -> bool:
    """Say whether a frame of somebody else's may be put in behind ``data``."""
    frames = read_frames(data)
    is_boundary = frames[-1].end == len(data) if frames else not data
    return is_boundary and all(frame.opcode != CLOSE for frame in frames)


class Crossing(NamedTuple):
    """What came of the bytes that were put in."""

    to_target: bytes
    to_visitor: bytes
    activity: ActivityEntry
    wires: Wires


def cross(sent: Sequence[bytes], answered: Sequence[bytes]) -> Crossing:
    """Let a visitor and a target send pieces, in turns, the first ones behind the handshake."""
    wires = Wires(lambda: lambda _: ())
    wires.arrive([HANDSHAKE + b"".join(sent[:1])])
    (wire,) = (one for one in wires.upstreams if one.sent)
    wire.arrive(SWITCHING + b"".join(answered[:1]))
    wires.settle()
    for mine, theirs in zip_longest(sent[1:], answered[1:], fillvalue=b""):
        wires.arrive([mine])
        wire.arrive(theirs)
        wires.settle()
    (activity,) = wires.activity.take()
    handshake, _, to_target = wire.sent.partition(b"\r\n\r\n")
    head, _, to_visitor = wires.visitor.sent.partition(b"\r\n\r\n")
    assert handshake.startswith(b"GET ")
    assert head.startswith(b"HTTP/1.1 101 ")
    return Crossing(to_target, to_visitor, activity, wires)


def check_tunnel(
    sent: bytes, answered: bytes, cuts: Iterable[tuple[Sequence[bytes], Sequence[bytes]]] = ()
) -> None:
    """Hold everything against what comes of ``sent`` by a visitor and ``answered`` to it."""
    for mine, theirs in (([sent], [answered]), ((b"", sent), (b"", answered)), *cuts):
        crossing = cross(mine, theirs)
        assert crossing.to_target == sent
        assert crossing.to_visitor == answered
        activity = crossing.activity
        assert (activity.ws_in is not None) == any(one.is_data for one in read_frames(sent))
        assert (activity.ws_out is not None) == any(one.is_data for one in read_frames(answered))
        assert (activity.bytes_in, activity.bytes_out) == (len(sent), len(answered))
        _check_end(crossing.wires, answered)


def _check_end(wires: Wires, answered: bytes) -> None:
    """When the environment ends, the visitor is told so where it can be."""
    before = wires.visitor.sent
    (tunnel,) = wires.edge.tunnels
    wires.run(lambda: tunnel.end(GOING_AWAY))
    wires.settle()
    told = wires.visitor.sent[len(before) :]
    if may_be_followed(answered):
        assert (told, wires.visitor.ending) == (close_frame(GOING_AWAY), "half")
    else:
        assert (told, wires.visitor.ending) == (b"", "closed")
    wires.pass_time()
    assert not wires.edge.tunnels
    assert not any(target.open - set(target.idle) for target in wires.router.targets())
