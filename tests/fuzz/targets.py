"""Take any bytes, and hold them against everything that must be true of them.

An input is the plain bytes of one side of a conversation, so that a file of the corpus
can be read, written and sent by hand. Where it is cut, and whom it answers, follows from
its checksum: the same file is always the same test.
"""

import random
import zlib
from collections.abc import Callable

from tests.unit.proxy.messages import bytewise, cut
from tests.unit.proxy.request_oracle import check_requests
from tests.unit.proxy.response_oracle import ASKS, check_responses
from tests.unit.proxy.tunnel_oracle import check_tunnel

_NAMES = sorted(ASKS)


def requests(data: bytes) -> None:
    """``data`` is what a visitor sends."""
    check_requests(data, [_pieces(data, _chance(data))])


def responses(data: bytes) -> None:
    """``data`` is what an environment answers, before it closes perhaps."""
    chance = _chance(data)
    ask = ASKS[chance.choice(_NAMES)]
    check_responses(data, ask, [_pieces(data, chance)], ends=chance.random() < 0.5)


def frames(data: bytes) -> None:
    """``data`` is what crosses a WebSocket, one way and the other."""
    chance = _chance(data)
    sent, answered = data[: (half := chance.randint(0, len(data)))], data[half:]
    check_tunnel(sent, answered, [(_pieces(sent, chance), _pieces(answered, chance))])


TARGETS: dict[str, Callable[[bytes], None]] = {
    "requests": requests,
    "responses": responses,
    "frames": frames,
}


def _chance(data: bytes) -> random.Random:
    return random.Random(zlib.crc32(data))


def _pieces(data: bytes, chance: random.Random) -> list[bytes]:
    if chance.random() < 0.3:
        return bytewise(data)
    return cut(data, [chance.randint(0, len(data)) for _ in range(chance.randint(1, 6))])
