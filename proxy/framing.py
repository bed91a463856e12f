"""Find where a body ends, and frame it anew.

A reader is fed what arrives and returns what to send on. Whatever the sender
wrote around its chunks (extensions, trailers, leading zeros) ends here: what is
sent on is framed by this module alone, so both sides agree where it stops.
"""

import re
from collections.abc import Callable
from typing import Protocol

from proxy.errors import BadBody
from proxy.grammar import TOKEN, VALUE

CHUNKED = -1  # lengths that are not numbers of bytes
UNTIL_CLOSE = -2

# RFC 9112 §7.1.1, without the bad whitespace: other parsers refuse it, or stop the size at it.
_QUOTED = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*+"'
_EXTENSION = b";" + TOKEN + b"++(?:=(?:" + TOKEN + b"++|" + _QUOTED + b"))?+"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:" + _EXTENSION + b")*+")
# RFC 9110 §6.5.1: whoever heeds a length that comes behind the body misreads the next message.
_TRAILER_LINE = re.compile(
    rb"(?!(?i:content-length|transfer-encoding):)" + TOKEN + rb"++:" + VALUE + rb"*+"
)
_MAX_CHUNK_BYTES = 1 << 62  # more would overflow in a peer that counts in 64 bits
_MAX_LINE_BYTES = 4096
_MAX_TRAILER_BYTES = 16 * 1024

LAST_CHUNK = b"0\r\n\r\n"


class Body(Protocol):
    """A body on its way."""

    done: bool
    rest: bytes  # what came behind the end, once done

    def feed(self, data: bytes) -> bytes:
        """Take what arrived, return what to send on. Raises BadBody."""
        ...

    def close(self) -> bytes:
        """Take the end of the stream, return what to send on. Raises BadBody."""
        ...


class SizedBody:
    """A body with a Content-Length."""

    __slots__ = ("_remaining", "done", "rest")

    def __init__(self, length: int) -> None:
        self._remaining = length
        self.done = length == 0
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the part of ``data`` that belongs to the body."""
        size = len(data)
        if size < self._remaining:
            self._remaining -= size
            return data
        self.done = True
        if size > self._remaining:
            self.rest = data[self._remaining :]
            data = data[: self._remaining]
        self._remaining = 0
        return data

    def close(self) -> bytes:
        """Raise: a sized body ends by its size alone."""
        raise BadBody("The body is shorter than its Content-Length.")


class UntilCloseBody:
    """A body that ends with its connection; chunked anew if ``framed``."""

    __slots__ = ("_framed", "done", "rest")

    def __init__(self, *, framed: bool) -> None:
        self._framed = framed
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return ``data``, as a chunk if framed."""
        return chunk(data) if self._framed else data

    def close(self) -> bytes:
        """Return the last chunk if framed."""
        self.done = True
        return LAST_CHUNK if self._framed else b""


_Step = Callable[["ChunkedBody", bytes, int, list[bytes]], int]


class ChunkedBody:
    """A chunked body; chunked anew if ``framed``, else its payload alone.

    The mutable state is the bytes of a line that is not whole yet, and how much
    of the current chunk is still to come. Chunks that arrive in one read leave
    as one chunk.
    """

    __slots__ = ("_framed", "_held", "_remaining", "_step", "_trailer_bytes", "done", "rest")

    def __init__(self, *, framed: bool) -> None:
        self._framed = framed
        self._held = b""
        self._remaining = 0
        self._trailer_bytes = 0
        self._step: _Step = ChunkedBody._read_size
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the payload in ``data``, framed anew."""
        if self._held:
            data, self._held = self._held + data, b""
        payload: list[bytes] = []
        position = 0
        while not self.done and position >= 0:
            position = self._step(self, data, position, payload)
        if self.done:
            self.rest = data[position:]
        whole = payload[0] if len(payload) == 1 else b"".join(payload)
        if not self._framed:
            return whole
        return (chunk(whole) if whole else b"") + (LAST_CHUNK if self.done else b"")

    def close(self) -> bytes:
        """Raise: a chunked body ends by its last chunk alone."""
        raise BadBody("The body ended before its last chunk.")

    # Each step starts at a position and returns the next; -1 asks for more data.

    def _read_size(self, data: bytes, position: int, _: list[bytes]) -> int:
        line, position = self._line(data, position)
        if line is None:
            return -1
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise _bad_line()
        self._remaining = int(match[1], 16)
        if self._remaining > _MAX_CHUNK_BYTES:
            raise BadBody("A chunk is too large.")
        self._step = ChunkedBody._read_payload if self._remaining else ChunkedBody._read_trailer
        return position

    def _read_payload(self, data: bytes, position: int, payload: list[bytes]) -> int:
        piece = data[position : position + self._remaining]
        if piece:
            payload.append(piece)
            self._remaining -= len(piece)
        if self._remaining:
            return -1
        self._step = ChunkedBody._read_terminator
        return position + len(piece)

    def _read_terminator(self, data: bytes, position: int, _: list[bytes]) -> int:
        found = data[position : position + 2]
        if found == b"\r\n":
            self._step = ChunkedBody._read_size
            return position + 2
        if found not in (b"", b"\r"):
            raise BadBody("A chunk is longer than its size.")
        self._held = found
        return -1

    def _read_trailer(self, data: bytes, position: int, _: list[bytes]) -> int:
        line, position = self._line(data, position)
        if line is None:
            return -1
        if not line:
            self.done = True
            return position
        self._trailer_bytes += len(line)
        if self._trailer_bytes > _MAX_TRAILER_BYTES or not _TRAILER_LINE.fullmatch(line):
            raise _bad_line()
        return position

    def _line(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        end = data.find(b"\r\n", position)
        if 0 <= end <= position + _MAX_LINE_BYTES:
            return data[position:end], end + 2
        self._held = data[position:]
        # Bare LF is never a line's end here; waiting for more would only hang.
        if len(self._held) > _MAX_LINE_BYTES + 1 or b"\n" in self._held:
            raise _bad_line()
        return None, position


def _bad_line() -> BadBody:
    # One text: how far a line was read before it was found out depends on how it arrived.
    return BadBody("A line of the chunked body is malformed or too long.")


def chunk(data: bytes) -> bytes:
    """Return ``data`` as one chunk; it must not be empty."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def body_of(length: int, *, framed: bool) -> Body:
    """Return the reader for ``length``: a number of bytes, CHUNKED or UNTIL_CLOSE."""
    if length == CHUNKED:
        return ChunkedBody(framed=framed)
    if length == UNTIL_CLOSE:
        return UntilCloseBody(framed=framed)
    return SizedBody(length)
