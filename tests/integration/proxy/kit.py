"""Raw-socket visitors and scripted environments.

Every wait has a limit, so that a test fails by saying what did not come.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Self

from proxy.activity import ActivityLog
from proxy.environments import EnvironmentRouter
from proxy.errors import EdgeError, Page
from proxy.host_router import HostRouter
from proxy.hosts import EnvironmentHosts
from proxy.listener import Proxy
from proxy.request import Request
from proxy.routes import Route, RoutesUnavailable, RouteTable, Standing
from proxy.settings import ProxySettings
from proxy.sockets import listen, port_of

PATIENCE_S = 5.0
SERVICE_ORIGIN = "https://service.example"
MIB = 1024 * 1024
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Wire:
    """One end of a connection, read and written byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, address: tuple[str, int]) -> Self:
        return cls(*await asyncio.open_connection(*address))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(PATIENCE_S):
            await self.writer.drain()

    async def head(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readexactly(size)

    async def until(self, end: bytes) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readuntil(end)

    async def rest(self) -> bytes:
        """Everything up to the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def some(self) -> bytes:
        """What comes next, nothing if it is the end of the stream."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read(MIB)

    async def remains(self) -> bytes:
        """Everything up to the end of the stream, be it closed or reset."""
        whole = b""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionResetError):
                while piece := await self.reader.read(MIB):
                    whole += piece
        return whole

    async def response(self) -> tuple[bytes, bytes]:
        """Read a head and its body, by Content-Length or chunks."""
        head = await self.head()
        if b"transfer-encoding: chunked" in head.lower():
            return head, await self.until(b"0\r\n\r\n")
        length = header(head, b"content-length")
        return head, await self.exactly(int(length[0])) if length else b""

    async def message(self) -> tuple[bytes, bytes]:
        """Read a message as whoever gets it understands it, chunks taken off."""
        head = await self.head()
        if b"transfer-encoding: chunked" in head.lower():
            return head, await self._chunks()
        if length := header(head, b"content-length"):
            return head, await self.exactly(int(length[0]))
        return head, await self.rest() if head.startswith(b"HTTP/") else b""

    async def _chunks(self) -> bytes:
        whole = b""
        while size := int((await self.until(b"\r\n")).partition(b";")[0], 16):
            whole += await self.exactly(size)
            assert await self.exactly(2) == b"\r\n"
        while await self.until(b"\r\n") != b"\r\n":
            pass  # a trailer
        return whole

    async def ended(self) -> bool:
        """Whether the stream ends with nothing more on it."""
        try:
            return await self.rest() == b""
        except ConnectionResetError:
            return True

    async def broke(self) -> bool:
        """Whether the stream is reset, as opposed to closed."""
        try:
            await self.rest()
        except ConnectionResetError:
            return True
        return False

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self.writer.wait_closed()
        except (OSError, TimeoutError):
            self.writer.transport.abort()


def header(head: bytes, name: bytes) -> list[bytes]:
    """All values of a header in a raw head."""
    lines = head.split(b"\r\n")[1:]
    return [
        value.strip()
        for key, _, value in (line.partition(b":") for line in lines)
        if key.lower() == name.lower()
    ]


def status(head: bytes) -> int:
    return int(head.split(b" ", 2)[1])


class Environment:
    """A scripted server: each connection made to it can be accepted once."""

    def __init__(self) -> None:
        self.connections: asyncio.Queue[Wire] = asyncio.Queue()
        self.wires: list[Wire] = []
        self.accepted = 0
        self.script: Callable[[Wire], Awaitable[None]] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(
        self, path: Path | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> Self:
        if path is None:
            self._server = await asyncio.start_server(self._connected, host, port)
        else:
            self._server = await asyncio.start_unix_server(self._connected, path)
        return self

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        self.accepted += 1
        self.wires.append(wire)
        if self.script is not None:
            task = asyncio.get_running_loop().create_task(self._play(self.script, wire))
            self._tasks.add(task)
        else:
            self.connections.put_nowait(wire)

    async def _play(self, script: Callable[[Wire], Awaitable[None]], wire: Wire) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await script(wire)

    async def accept(self) -> Wire:
        async with asyncio.timeout(PATIENCE_S):
            return await self.connections.get()

    async def request(self) -> tuple[Wire, bytes]:
        """Accept the connection on which the next request comes; give its head too."""
        wire = await self.accept()
        return wire, await wire.head()

    def answer_all(self, response: bytes = OK) -> None:
        """Answer every bodiless request with the same bytes from now on."""

        async def script(wire: Wire) -> None:
            while True:
                await wire.reader.readuntil(b"\r\n\r\n")
                await wire.send(response)

        self.script = script

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for wire in self.wires:
            await wire.close()


class FakeResolver:
    """A store that answers when told to."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.asked: list[str] = []
        self.refusals: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_down = False
        self.was_asked = asyncio.Event()

    async def look_up(self, environment_id: str) -> Route:
        self.asked.append(environment_id)
        self.was_asked.set()
        await self.gate.wait()
        if self.is_down:
            raise RoutesUnavailable
        return self.routes.get(environment_id) or Route(environment_id, Standing.GONE)

    def refused(self, environment_id: str) -> None:
        self.refusals.append(environment_id)


class Stage:
    """A proxy with an application and as many environments and visitors as asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.routes = RouteTable()
        self.resolver = FakeResolver()
        self.activity = ActivityLog()
        self.application = Environment()
        self.environments: list[Environment] = []
        self.visitors: list[Wire] = []
        self.pages: list[EdgeError] = []
        self.proxy: Proxy

    async def start(self, *, mount: str = "/", domain: str = "", **settings: object) -> Self:
        """Serve; with ``domain`` each environment at a host of its own."""
        await self.application.start(self.directory / "app.sock")
        checked = ProxySettings.model_validate(settings)
        kind: Callable[..., EnvironmentRouter] = EnvironmentRouter
        if domain:
            kind = partial(HostRouter, hosts=EnvironmentHosts(domain, SERVICE_ORIGIN))
        self.proxy = Proxy(
            router=kind(
                routes=self.routes,
                resolver=self.resolver,
                application=str(self.directory / "app.sock"),
                settings=checked,
                activity=self.activity,
                mount=mount,
            ),
            settings=checked,
            page=self._page,
        )
        listeners = listen("127.0.0.1", 0)
        self.port = port_of(listeners)
        await self.proxy.serve(listeners[0])
        return self

    def _page(self, error: EdgeError, _request: Request) -> Page:
        self.pages.append(error)
        return Page(
            b"<h1>%d</h1>" % error.status, b"\r\nContent-Security-Policy: default-src 'none'"
        )

    async def environment(self, name: str = "abc", **route: object) -> Environment:
        """Start an environment that is live under ``/user/<name>/``."""
        environment = await Environment().start()
        self.environments.append(environment)
        self.put(name, port=environment.port, **route)
        return environment

    def share(self, name: str, environment: Environment) -> None:
        """Have another environment at the same address."""
        self.put(name, port=environment.port)

    def put(self, name: str, standing: Standing = Standing.LIVE, **route: object) -> None:
        held = self.routes.get(name)
        version = held.version + 1 if held else 1
        self.routes.put(Route(name, standing, "127.0.0.1", version=version, **route))  # type: ignore[arg-type]

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def reached(self) -> int:
        """How many connections were made to anybody behind the proxy."""
        return sum(one.accepted for one in [*self.environments, self.application])

    def answer_all(self) -> None:
        """Let everybody behind the proxy answer what comes."""
        for one in [*self.environments, self.application]:
            one.answer_all()

    def says(self, head: bytes, expected: int) -> bool:
        """Whether an answer has the status that the contract names."""
        return status(head) == expected

    async def hung_up(self, visitor: Wire, head: bytes) -> bool:
        """Whether an answer was the last on its connection, and said so."""
        return header(head, b"connection") == [b"close"] and await visitor.ended()

    async def counts_become(self, **counts: int) -> None:
        """Wait until so much is open in the proxy, as it counts by itself."""
        await settled(
            lambda: all(getattr(self.proxy.counts, name) == n for name, n in counts.items())
        )

    async def visit(self) -> Wire:
        wire = Wire(*await asyncio.open_connection(*self.address))
        self.visitors.append(wire)
        return wire

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """Make one request on a connection of its own, and its response."""
        visitor = await self.visit()
        await visitor.send(request)
        response = await visitor.response()
        await visitor.close()
        return response

    async def stop(self) -> None:
        for visitor in self.visitors:
            await visitor.close()
        await self.proxy.abort()
        for environment in [*self.environments, self.application]:
            await environment.stop()


def get(
    path: str = "/user/abc/", *lines: str, method: str = "GET", host: str = "hub.example"
) -> bytes:
    """Return a bodiless request."""
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")


async def settled(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds, giving the loop its turns until then."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)


async def fill(wire: Wire, head: bytes) -> int:
    """Return how many MiB can be sent before the other side takes no more."""
    wire.writer.transport.set_write_buffer_limits(high=0)
    wire.writer.write(head)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 200:
            wire.writer.write(b"x" * MIB)
            async with asyncio.timeout(0.3):
                await wire.writer.drain()
            sent += 1
    return sent
