"""A visitor's end of a connection, byte by byte."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self, TypeVar

T = TypeVar("T")
_RESET = struct.pack("ii", 1, 0)


class Broken(Exception):
    """The connection ended before the answer did, or none could be made."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    head: bytes
    body: bytes

    @property
    def facts(self) -> Any:
        """Give the body as JSON; empty if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return {}

    def __str__(self) -> str:
        return f"{self.head.splitlines()[0]!r} with {len(self.body)} bytes: {self.body[:200]!r}"


class Line:
    """A connection to the proxy; whatever breaks on it is :class:`Broken`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, *, limit: int) -> Self:
        """Connect; ``limit`` is half of what is read ahead."""
        with _breaking("connecting"):
            return cls(*await asyncio.open_connection("127.0.0.1", port, limit=limit))

    async def send(self, data: bytes) -> None:
        with _breaking("sending"):
            self._writer.write(data)
            await self._writer.drain()

    async def head(self) -> bytes:
        """Read a head, be it an interim one."""
        with _breaking("reading a head"):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def answer(self, method: str = "GET", *, head: bytes = b"") -> Answer:
        """Read an answer in full, and the interim ones before it; ``head`` was read already."""
        head = head or await self.head()
        while head[9:12] in (b"100", b"103"):
            head = await self.head()
        status = int(head[9:12])
        has_none = method == "HEAD" or status in (101, 204, 304)
        with _breaking("reading a body"):
            return Answer(status, head, b"" if has_none else await self._body(head.lower()))

    async def piece(self) -> bytes:
        """Read one chunk; nothing for the last."""
        return await self.reading(_read_chunk)

    async def read(self, size: int = 65536) -> bytes:
        """Read what has come; nothing at the end."""
        with _breaking("reading"):
            return await self._reader.read(size)

    async def reading(self, what: Callable[[asyncio.StreamReader], Awaitable[T]]) -> T:
        with _breaking("reading"):
            return await what(self._reader)

    async def _body(self, head: bytes) -> bytes:
        if b"transfer-encoding: chunked" in head:
            return b"".join([piece async for piece in self._chunks()])
        _, has_length, length = head.partition(b"content-length:")
        if has_length:
            return await self._reader.readexactly(int(length.split(b"\r\n")[0]))
        return await self._reader.read()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while piece := await _read_chunk(self._reader):
            yield piece

    def leave(self, *, is_reset: bool) -> None:
        """Be gone at once, with a reset or without a word."""
        if is_reset:
            sock = self._writer.get_extra_info("socket")
            if sock is not None and not self._writer.transport.is_closing():
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()


async def _read_chunk(reader: asyncio.StreamReader) -> bytes:
    size = int(await reader.readuntil(b"\r\n"), 16)
    piece = await reader.readexactly(size)
    await reader.readexactly(2)
    return piece


@contextmanager
def _breaking(when: str) -> Iterator[None]:
    try:
        yield
    except (asyncio.IncompleteReadError, OSError) as error:
        raise Broken(f"while {when}: {error}") from error
