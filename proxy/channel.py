"""Talk between the control process and one worker: JSON messages over a socket pair.

Messages arrive whole and in order. Nothing that comes from a worker, which reads
what strangers send, is anything but data.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

_LENGTH = struct.Struct("!I")

Message = Mapping[str, Any]


class Channel:
    """One end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> Self:
        """Return the end that ``sock`` is; it is closed with it."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, **message: Any) -> None:
        """Send a message. Never waits, and is nothing if the other end is gone."""
        if not self._writer.is_closing():
            data = json.dumps(message).encode()
            self._writer.write(_LENGTH.pack(len(data)) + data)

    async def messages(self) -> AsyncIterator[Message]:
        """Give what the other end sends, until it is gone."""
        try:
            while True:
                (size,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                yield json.loads(await self._reader.readexactly(size))
        except (asyncio.IncompleteReadError, ConnectionError):
            return

    async def flush(self) -> None:
        """Wait until what was sent is on its way, or the other end is gone."""
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    def close(self) -> None:
        """Close this end."""
        self._writer.close()
