"""Find WebSocket frames in a byte stream by their headers alone (RFC 6455 §5.2).

Payloads are skipped, never read: a read of whole frames costs one short loop.
Nothing is enforced either; a peer that breaks the protocol is told so by the
other peer.
"""

_CLOSE = 8


class FrameScanner:
    """Follows one direction of a tunnel.

    The mutable state is the length of payload still to come and the bytes of a
    header that was cut by a read.
    """

    __slots__ = ("_header", "_is_data", "_remaining", "has_closed")

    def __init__(self) -> None:
        self._remaining = 0
        self._is_data = False  # what the payload still to come belongs to
        self._header = b""
        self.has_closed = False  # a close frame went by: nothing may follow it

    @property
    def is_at_boundary(self) -> bool:
        """Whether a frame of our own could be put in here."""
        return not self._remaining and not self._header

    def feed(self, data: bytes) -> bool:
        """Follow ``data``; return whether any of it belongs to a data frame."""
        position = self._remaining
        has_data = self._is_data and position > 0
        if self._header:
            data = self._header + data
            self._header = b""
        size = len(data)
        while position < size:
            end = _frame_end(data, position, size)
            if end < 0:
                self._header = data[position:]
                self._remaining = 0
                return has_data
            opcode = data[position] & 0x0F
            self._is_data = opcode < _CLOSE
            if self._is_data:
                has_data = True
            elif opcode == _CLOSE:
                self.has_closed = True
            position = end
        self._remaining = position - size
        return has_data


def _frame_end(data: bytes, start: int, size: int) -> int:
    """Return where the frame at ``start`` ends, -1 if its header is not whole."""
    payload = start + 2
    if payload > size:
        return -1
    second = data[start + 1]
    length = second & 0x7F
    if length > 125:
        payload += 2 if length == 126 else 8
        if payload > size:
            return -1
        length = int.from_bytes(data[start + 2 : payload], "big")
    if second & 0x80:
        payload += 4
        if payload > size:
            return -1
    return payload + length


def close_frame(code: int) -> bytes:
    """Return a server's close frame with ``code`` and no reason."""
    return b"\x88\x02" + code.to_bytes(2, "big")
