"""``tmpenv proxy`` as a process, or configurable-http-proxy in its place.

With ``CHP=/path/to/configurable-http-proxy`` the same tests run against that
one, to see that what is expected of both is what it does.
"""

import asyncio
import itertools
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from yarl import URL

from tests.command import variables
from tests.integration.proxy.kit import Environment, Wire
from tests.serving import free_port
from tests.waiting import eventually

_numbers = itertools.count(1)
TOKEN_HEADERS = {"Authorization": "token the-token-of-all-tests"}
CHP = os.environ.get("CHP", "")


class Started:
    """A process that runs, with its addresses."""

    def __init__(self, directory: Path, *flags: str, like: "Started | None" = None) -> None:
        self.port = like.port if like else free_port()
        self.api_port = like.api_port if like else free_port()
        self.log = directory / f"proxy-{next(_numbers)}.log"
        command = [CHP] if CHP else [sys.executable, "-m", "web", "proxy"]
        addresses = ["--ip", "127.0.0.1", "--port", str(self.port)]
        addresses += ["--api-ip", "127.0.0.1", "--api-port", str(self.api_port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *addresses, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=variables(CONFIGPROXY_AUTH_TOKEN=TOKEN_HEADERS["Authorization"][6:]),
            )

    def end(self) -> int:
        """Ask it to end, and wait; give its exit code."""
        self.process.terminate()
        return self.process.wait(30)


class Rig:
    """A proxy with its REST API, and scripted servers behind it."""

    def __init__(self, started: Started) -> None:
        self.started = started
        self.port = started.port
        self.api = f"http://127.0.0.1:{started.api_port}"
        self.servers: list[Environment] = []
        self.visitors: list[Wire] = []

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(headers=TOKEN_HEADERS)
        try:
            await eventually(self._answers)
        except BaseException:
            await self.session.close()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        with suppress(aiohttp.ClientError):
            for prefix in await self.routes():
                await self.call("DELETE", quote(prefix))
        await self.session.close()
        for visitor in self.visitors:
            await visitor.close()
        for server in self.servers:
            await server.stop()

    async def _answers(self) -> bool:
        assert self.started.process.poll() is None, self.started.log.read_text()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return (await self.call("GET"))[0] == 200
        except (OSError, aiohttp.ClientError):
            return False

    async def call(self, method: str, prefix: str = "", **more: Any) -> tuple[int, bytes]:
        """Ask the REST API about ``prefix``, which is encoded already."""
        url = self.api + "/api/routes" + prefix
        async with self.session.request(method, URL(url, encoded=True), **more) as response:
            return response.status, await response.read()

    async def routes(self, query: str = "") -> dict[str, Any]:
        url = f"{self.api}/api/routes{query}"
        async with self.session.get(url) as response:
            assert response.status == 200
            found: dict[str, Any] = await response.json()
            return found

    async def put(self, prefix: str, target: str, **facts: object) -> None:
        status, body = await self.call("POST", prefix, json={"target": target, **facts})
        assert (status, body) == (201, b"")

    async def server(self, name: str = "ok") -> Environment:
        """Start a server that answers with ``name`` and the head that it got."""
        server = await Environment().start()
        self.servers.append(server)
        echo(server, name)
        return server

    async def visit(self, *, tls: ssl.SSLContext | None = None) -> Wire:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port, ssl=tls))
        self.visitors.append(wire)
        return wire

    async def ask(self, request: bytes, *, tls: ssl.SSLContext | None = None) -> tuple[bytes, str]:
        """Make one request on a connection of its own; give head and body of the answer."""
        visitor = await self.visit(tls=tls)
        await visitor.send(request)
        head, body = await visitor.response()
        await visitor.close()
        if b"transfer-encoding: chunked" in head.lower():
            body = unchunked(body)
        return head, body.decode()


def echo(server: Environment, name: str) -> None:
    """Have ``server`` answer every bodiless request with its name and what it was asked."""

    async def script(wire: Wire) -> None:
        while True:
            head = await wire.reader.readuntil(b"\r\n\r\n")
            body = name.encode() + b"\r\n" + head
            await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    server.script = script


def url_of(server: Environment, path: str = "") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole += body[: int(size, 16)]
        body = body[int(size, 16) + 2 :]
    return whole


@asynccontextmanager
async def proxying(directory: Path, *flags: str) -> AsyncIterator[Rig]:
    """Run a proxy with flags of its own."""
    rig = Rig(Started(directory, *flags))
    try:
        async with rig:
            yield rig
    finally:
        rig.started.end()
