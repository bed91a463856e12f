"""The backend that tests use: environments that live in this process.

It is a fake, not a mock: it keeps every promise of :mod:`spawner.backends.base`
and passes the same contract suite as the real ones. What a daemon would keep
across a restart of tmpenv is a :class:`World`; two backends on one world are
one tmpenv before and after its restart, or two side by side. Each environment
is a small real HTTP listener, so that probes and connections are real too.
The failing variants are in :mod:`spawner.backends.memory_faults`.
"""

import asyncio
import itertools
import socket
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast
from weakref import WeakSet

from spawner.backends.base import Backend, Observed, Order, Progress
from spawner.errors import StartFailed
from spawner.model import Address, Auth, Template

Endings = asyncio.Queue[tuple[str, str]]


class _Answer(asyncio.Protocol):
    """Answer every request with one status and hang up."""

    def __init__(self, environment: "Resident") -> None:
        self._environment = environment
        self._seen = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._environment.connections.add(self._transport)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        if b"\r\n\r\n" not in self._seen:
            return
        body = b"[]" if b"/api/kernels" in self._seen.split(b"\r\n", 1)[0] else b"{}"
        self._transport.write(
            b"HTTP/1.1 %d Answer\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n%s"
            % (self._environment.status, len(body), body)
        )
        self._transport.close()


@dataclass(eq=False, kw_only=True)
class Resident:
    """One environment of a world."""

    id: str
    base_path: str
    instance: str
    template: str
    digest: str
    auth: Auth
    created_at: datetime
    variables: dict[str, str]
    command: list[str] | None
    #: What its listener answers.
    status: int
    address: Address
    server: asyncio.Server | None = None
    connections: WeakSet[asyncio.Transport] = field(default_factory=WeakSet)
    is_running: bool = True
    detail: str = ""
    printed: list[str] = field(default_factory=list)
    #: Bytes that it has on disk.
    written: int = 0
    #: Set and replaced whenever something was printed, and at the end.
    stirred: asyncio.Event = field(default_factory=asyncio.Event)

    def say(self, line: str) -> None:
        """Print a line."""
        self.printed.append(line)
        self._stir()

    def end(self, detail: str) -> None:
        """Hang up on everybody and be no longer running."""
        self.is_running, self.detail = False, detail
        self._stir()
        if self.server:
            self.server.close()
        for transport in list(self.connections):
            transport.abort()

    def _stir(self) -> None:
        self.stirred.set()
        self.stirred = asyncio.Event()

    def observed(self) -> Observed:
        return Observed(
            id=self.id,
            base_path=self.base_path,
            template=self.template,
            digest=self.digest,
            auth=self.auth,
            created_at=self.created_at,
            is_running=self.is_running,
            address=self.address if self.is_running else None,
            detail=self.detail,
        )


class World:
    """What outlives a backend object: the environments, and who listens for their ends."""

    def __init__(self, *, listens: bool = True) -> None:
        #: Whether environments really listen; otherwise their addresses are made up.
        self.listens = listens
        self.residents: dict[str, Resident] = {}
        #: Ids in the order in which they were started and removed, and the most at once.
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.peak = 0
        self.listeners: WeakSet[Endings] = WeakSet()
        self._ports = itertools.count(20000)

    async def settle(self, resident: Resident) -> None:
        """Let an environment in and give it its place to listen."""
        self.residents[resident.id] = resident
        self.started.append(resident.id)
        self.peak = max(self.peak, len(self.residents))
        if not self.listens:
            resident.address = Address("127.0.0.1", next(self._ports))
            return
        # Bound before the first await: whoever finds it meanwhile reads its true address.
        listener = socket.create_server(("127.0.0.1", 0))
        resident.address = Address("127.0.0.1", listener.getsockname()[1])
        loop = asyncio.get_running_loop()
        # Kept before it serves, so that a cancellation leaves no socket behind.
        resident.server = await loop.create_server(
            lambda: _Answer(resident), sock=listener, start_serving=False
        )
        await resident.server.start_serving()
        if not resident.is_running:
            resident.server.close()

    def kill(self, environment_id: str, detail: str = "exit code 137") -> None:
        """End an environment behind everybody's back; it stays until it is stopped."""
        resident = self.residents[environment_id]
        resident.end(detail)
        for queue in self.listeners:
            queue.put_nowait((resident.instance, environment_id))

    def remove(self, environment_id: str) -> None:
        """End an environment and forget it."""
        self.residents.pop(environment_id).end("stopped")
        self.stopped.append(environment_id)

    def close(self) -> None:
        """End everything, so that no socket is left open."""
        for environment_id in list(self.residents):
            self.remove(environment_id)


class MemoryBackend(Backend):
    """Runs environments as listeners in this process."""

    name = "memory"
    warning = "This backend runs nothing: it is for tests."
    gap = ""
    #: What the environments started from here answer.
    status = 200

    def __init__(self, instance: str = "test", world: World | None = None) -> None:
        self.instance = instance
        self.world = world or World()

    async def reach(self) -> None:
        """Stand for the way to the daemon: every call passes here first."""
        await asyncio.sleep(0)

    async def open(self) -> None:
        await self.reach()

    async def close(self) -> None:
        """Give back nothing; what runs goes on running in the world."""

    async def ping(self) -> None:
        await self.reach()

    async def prepare(self, template: Template, progress: Progress) -> None:
        await self.reach()

    async def start(self, order: Order) -> Address:
        await self.reach()
        found = self.world.residents.get(order.id)
        if found is None:
            found = self._resident(order)
            await self.world.settle(found)
        if not found.is_running:
            raise StartFailed(f"The environment ended before it was ready: {found.detail}.")
        return found.address

    async def stop(self, environment_id: str, grace_s: float) -> None:
        await self.reach()
        if self._own(environment_id):
            self.world.remove(environment_id)

    async def inspect(self, environment_id: str) -> Observed | None:
        await self.reach()
        found = self._own(environment_id)
        return found.observed() if found else None

    async def list(self) -> list[Observed]:
        await self.reach()
        return [
            resident.observed()
            for resident in self.world.residents.values()
            if resident.instance == self.instance
        ]

    async def tail(self, environment_id: str, lines: int) -> str:
        await self.reach()
        found = self._own(environment_id)
        return "\n".join(found.printed[-lines:]) if found else ""

    async def disk_usage(self, environment_id: str) -> int | None:
        await self.reach()
        found = self._own(environment_id)
        return found.written if found else None

    async def follow(self, environment_id: str, lines: int) -> AsyncGenerator[bytes, None]:
        await self.reach()
        found = self._own(environment_id)
        if found is None:
            return
        told = max(0, len(found.printed) - lines)
        while True:
            while told < len(found.printed):
                told += 1
                yield f"{found.printed[told - 1]}\n".encode()
            if not found.is_running:
                return
            await found.stirred.wait()

    def endings(self) -> AsyncGenerator[str, None]:
        queue: Endings = asyncio.Queue()
        self.world.listeners.add(queue)
        return self._endings(queue)

    def kill(self, environment_id: str, detail: str = "exit code 137") -> None:
        """End an environment as if it had died."""
        self.world.kill(environment_id, detail)

    async def _endings(self, queue: Endings) -> AsyncGenerator[str, None]:
        await self.reach()
        while True:
            instance, environment_id = await queue.get()
            if instance == self.instance:
                yield environment_id

    def _own(self, environment_id: str) -> Resident | None:
        found = self.world.residents.get(environment_id)
        return found if found and found.instance == self.instance else None

    def _resident(self, order: Order) -> Resident:
        address = Address("127.0.0.1", order.template.port)
        command = order.command(ip=address.host, port=address.port)
        return Resident(
            id=order.id,
            base_path=order.base_path,
            instance=self.instance,
            template=order.template.name,
            digest=order.template.digest,
            auth=order.template.auth,
            created_at=datetime.now(UTC),
            variables=order.variables(ip=address.host, port=address.port),
            command=command,
            status=self.status,
            address=address,
            printed=[f"started {order.id}", "listening"],
        )
