"""The command ``tmpenv`` as a process that asks a site of this process."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.command import variables
from tests.integration.web.conftest import API_KEY, Site


@dataclass
class Told:
    """What a command came to."""

    code: int
    out: str
    err: str


class Edge:
    """Stands before a site as the data path does, and can be down for a while.

    Each command makes each of its calls on a connection of its own, whose first lines it
    names as the data path names requests.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def up(self) -> None:
        """Listen; on the same port again after it was down."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def down(self) -> None:
        """Refuse connections, and cut those that there are."""
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._connections):
            writer.transport.abort()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where commands find the site."""
        return f"http://127.0.0.1:{self.port}"

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readline()
        if b" /user/" in first:
            # Environments in memory have no pages; the data path would lead to theirs.
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na notebook")
            writer.close()
            return
        inner_reader, inner = await asyncio.open_connection("127.0.0.1", self.site.client.port)
        self._connections |= {writer, inner}
        inner.write(first + b"X-Request-Id: named by the edge\r\n")
        await asyncio.gather(_pump(reader, inner), _pump(inner_reader, writer))
        self._connections -= {writer, inner}


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def edge_of(site: Site) -> AsyncIterator[Edge]:
    """Give what stands before a site."""
    edge = Edge(site)
    await edge.up()
    try:
        yield edge
    finally:
        await edge.down()


async def begin(edge: Edge, *arguments: str, **more: Any) -> Process:
    """Start a command and leave it running."""
    where = ("--server", edge.url, "--api-key", API_KEY)
    options = {"stdout": PIPE, "stderr": PIPE, "env": variables()} | more
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "web", *arguments, *where, **options
    )


async def tmpenv(edge: Edge, *arguments: str, **environ: str) -> Told:
    """Run a command to its end."""
    process = await begin(edge, *arguments, env=variables(**environ))
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Told(process.returncode, out.decode(), err.decode())


async def read_until(terminal: int, words: str) -> str:
    """Read a terminal until it has shown some words."""
    shown = b""
    async with asyncio.timeout(30):
        while words not in shown.decode(errors="replace"):
            shown += await asyncio.to_thread(os.read, terminal, 65536)
    return shown.decode(errors="replace")
