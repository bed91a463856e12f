"""``python -m bench.proxy.sink``: the backend that takes uploads and echoes messages.

A process of its own, as cheap as Python can be: bodies are read into one buffer
and only counted, frames are sent back without looking at their payload, which
clients mask with zeros. It prints its port, and tells at ``/received`` how many
bytes of bodies have come in.
"""

import asyncio
import re
from typing import cast

import uvloop

_BUFFER_BYTES = 512 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_UPGRADE = re.compile(rb"\r\nupgrade: *websocket", re.IGNORECASE)
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
_SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


class Sink:
    """What all connections share."""

    def __init__(self) -> None:
        self.received_bytes = 0
        self.buffer = memoryview(bytearray(_BUFFER_BYTES))


class Visited(asyncio.BufferedProtocol):
    """One connection: requests, with bodies of a known length, or an upgrade."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._head = b""
        self._missing = 0  # bytes of the body that are to come

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, _hint: int) -> memoryview:
        return self._sink.buffer

    def buffer_updated(self, size: int) -> None:
        if self._missing > size:
            self._missing -= size
            self._sink.received_bytes += size
            return
        self._take(bytes(self._sink.buffer[:size]))

    def _take(self, data: bytes) -> None:
        if self._missing:
            size = min(self._missing, len(data))
            self._end_body(size)
            data = data[size:]
        self._head += data
        while (end := self._head.find(b"\r\n\r\n")) >= 0:
            head, self._head = self._head[: end + 2], self._head[end + 4 :]
            self._begin(head)

    def _begin(self, head: bytes) -> None:
        if _UPGRADE.search(head):
            self._transport.write(_SWITCH)
            self._transport.set_protocol(Echo(self._transport))
            return
        length = _LENGTH.search(head)
        if head.startswith(b"POST ") and length is None:
            raise AssertionError("uploads come with a length")
        self._missing = int(length[1]) if length else 0
        if not self._missing:
            self._answer()
            return
        size = min(self._missing, len(self._head))
        self._head = self._head[size:]
        self._end_body(size)

    def _end_body(self, size: int) -> None:
        self._sink.received_bytes += size
        self._missing -= size
        if not self._missing:
            self._answer()

    def _answer(self) -> None:
        body = b'{"received": %d}' % self._sink.received_bytes
        self._transport.write(_OK % (len(body), body))


class Echo(asyncio.Protocol):
    """A WebSocket that sends every message back."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (whole := frame_of(self._data)) is not None:
            head, start, end = whole
            self._transport.write(head + self._data[start:end])
            self._data = self._data[end:]


def frame_of(data: bytes) -> tuple[bytes, int, int] | None:
    """Find the first frame of ``data``, masked with zeros, if it is there in whole.

    Gives the head under which a server sends it, and where its payload lies.
    """
    if len(data) < 2:
        return None
    length, start = data[1] & 127, 2
    if length > 125:
        start = 4 if length == 126 else 10
        length = int.from_bytes(data[2:start], "big")
    head = bytes((data[0], data[1] & 127)) + data[2:start]
    payload = start + 4
    end = payload + length
    return (head, payload, end) if len(data) >= end else None


async def main() -> None:
    """Serve until killed."""
    sink = Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Visited(sink), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
