"""What environments of the soak run: a server of many good and bad manners.

As an environment of tmpenv it listens where TMPENV_IP and TMPENV_PORT say, under the
name TMPENV_ID. Called with names, it listens on a free port for each and prints them.
Every answer says by its name who gave it. It needs nothing but the standard library,
so that it is up soon.
"""

import asyncio
import base64
import hashlib
import json
import os
import socket
import struct
import sys
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_EVENT_S = 0.05
_DEAF_S = 120
_PIECE = 64 * 1024

Headers = dict[bytes, bytes]


class Request:
    """A request, and the way to answer it."""

    def __init__(
        self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.name = name
        self.reader = reader
        self.writer = writer

    async def read_head(self) -> None:
        head = await self.reader.readuntil(b"\r\n\r\n")
        line, *lines = head[:-4].split(b"\r\n")
        _, target, _ = line.split(b" ")
        self.path = target.decode()
        self.headers: Headers = {}
        for header in lines:
            key, _, value = header.partition(b":")
            self.headers[key.lower()] = value.strip()
        # /user/<name>/<action>/<argument>
        _, _, _, self.action, self.argument, *_ = [*self.path.split("?")[0].split("/"), "", "", ""]

    def facts(self, **more: object) -> bytes:
        token = self.headers.get(b"x-token", b"").decode()
        return json.dumps({"name": self.name, "path": self.path, "token": token, **more}).encode()

    async def answer(self, body: bytes, status: str = "200 OK", *lines: str) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines]
        await self.send("\r\n".join(head).encode() + b"\r\n\r\n" + body)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def body(self) -> tuple[int, int]:
        """Read the body; give its size and checksum."""
        size, checksum = 0, 0
        async for piece in self._pieces():
            size += len(piece)
            checksum = zlib.crc32(piece, checksum)
        return size, checksum

    async def _pieces(self) -> AsyncIterator[bytes]:
        if self.headers.get(b"transfer-encoding") == b"chunked":
            while size := int(await self.reader.readline(), 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
            return
        left = int(self.headers.get(b"content-length", b"0"))
        while left:
            piece = await self.reader.read(min(left, _PIECE))
            if not piece:
                raise ConnectionResetError
            left -= len(piece)
            yield piece


async def _echo(request: Request) -> None:
    await request.body()
    await request.answer(request.facts())


async def _api(request: Request) -> None:
    """Answer who asks whether it is ready, and keep no connection with them."""
    await request.answer(request.facts(), "200 OK", "Connection: close")
    raise ConnectionResetError


async def _kernels(request: Request) -> None:
    await request.answer(b"[]")


async def _bytes(request: Request) -> None:
    """Send so many bytes that repeat the name, by length or in chunks."""
    size = int(request.argument)
    whole = pattern(request.name, size)
    if "chunked" not in request.path:
        await request.answer(whole)
        return
    await request.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for start in range(0, size, _PIECE):
        piece = whole[start : start + _PIECE]
        await request.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    await request.send(b"0\r\n\r\n")


async def _until_close(request: Request) -> None:
    """Send so many bytes, of which only the end of the connection tells the number."""
    await request.send(b"HTTP/1.1 200 OK\r\n\r\n" + pattern(request.name, int(request.argument)))
    raise ConnectionResetError


async def _events(request: Request) -> None:
    await request.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    event = f"data: {request.name}\n\n".encode()
    while True:
        await request.send(b"%x\r\n%b\r\n" % (len(event), event))
        await asyncio.sleep(_EVENT_S)


async def _socket(request: Request) -> None:
    """Echo frames until one closes."""
    key = request.headers[b"sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())
    await request.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"X-Name: %b\r\nSec-WebSocket-Accept: %b\r\n\r\n" % (request.name.encode(), accept)
    )
    while True:
        opcode, payload = await read_frame(request.reader)
        await request.send(frame(opcode, payload))
        if opcode == 8:
            raise ConnectionResetError


async def _upload(request: Request) -> None:
    if request.headers.get(b"expect"):
        await request.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    size, checksum = await request.body()
    await request.answer(request.facts(size=size, checksum=checksum))


async def _early(request: Request) -> None:
    """Refuse a body before it has come, and let the answer arrive."""
    await request.answer(request.facts(), "413 Too Large", "Connection: close")
    request.writer.write_eof()
    while await request.reader.read(_PIECE):
        pass
    raise ConnectionResetError


async def _refusal(request: Request) -> None:
    await request.answer(request.facts(), "403 Forbidden")


async def _slow(request: Request) -> None:
    await request.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    await asyncio.sleep(float(request.argument))
    await request.answer(request.facts())


async def _cut(request: Request) -> None:
    """Announce more than is sent."""
    await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n" + b"x" * 40000)
    if request.argument == "reset":
        sock = request.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionResetError


async def _garbage(request: Request) -> None:
    await request.send(b"HTTP/9 what?\r\n\r\n")
    raise ConnectionResetError


async def _silent(request: Request) -> None:
    raise ConnectionResetError


async def _mute(request: Request) -> None:
    """Never answer, whatever comes."""
    while await request.reader.read(_PIECE):
        pass
    raise ConnectionResetError


async def _deaf(request: Request) -> None:
    """Read nothing for longer than anybody should have to wait."""
    request.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(_DEAF_S)
    raise ConnectionResetError


async def _die(request: Request) -> None:
    await request.reader.read(1)
    os._exit(1)


ACTIONS: dict[str, Callable[[Request], Awaitable[None]]] = {
    "api": _api,
    "kernels": _kernels,
    "bytes": _bytes,
    "until-close": _until_close,
    "events": _events,
    "socket": _socket,
    "upload": _upload,
    "early": _early,
    "refusal": _refusal,
    "slow": _slow,
    "cut": _cut,
    "garbage": _garbage,
    "silent": _silent,
    "mute": _mute,
    "deaf": _deaf,
    "die": _die,
}


def pattern(name: str, size: int) -> bytes:
    """Give ``size`` bytes that only ``name`` would send."""
    word = f"{name}\n".encode()
    return (word * (size // len(word) + 1))[:size]


def frame(opcode: int, payload: bytes, *, is_masked: bool = False) -> bytes:
    """Give a whole WebSocket frame; a mask of zeros changes nothing."""
    mask = b"\0\0\0\0" if is_masked else b""
    bit = 0x80 if is_masked else 0
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, bit | size)) + mask + payload
    return bytes((0x80 | opcode, bit | 127)) + size.to_bytes(8, "big") + mask + payload


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read a frame with a mask of zeros, or with none."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    if second & 0x80:
        await reader.readexactly(4)
    return first & 0x0F, await reader.readexactly(size)


async def _converse(name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = Request(name, reader, writer)
    try:
        while True:
            await request.read_head()
            kind = request.argument or request.action if request.action == "api" else request.action
            await ACTIONS.get(kind, _echo)(request)
    except (asyncio.IncompleteReadError, ConnectionError, ValueError):
        writer.close()


async def _listen(name: str, host: str, port: int) -> int:
    server = await asyncio.start_server(
        lambda reader, writer: _converse(name, reader, writer), host, port, backlog=1024
    )
    return int(server.sockets[0].getsockname()[1])


async def _main(names: list[str]) -> None:
    if names:
        ports = [await _listen(name, "127.0.0.1", 0) for name in names]
        print(*ports, flush=True)
    else:
        host, port = os.environ["TMPENV_IP"], int(os.environ["TMPENV_PORT"])
        await _listen(os.environ["TMPENV_ID"], host, port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1:]))
