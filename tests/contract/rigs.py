"""What the contract suite needs to know about each backend.

A rig makes backends that share one daemon (a world, a directory, Docker), and
can do from outside what a test must provoke. Swarm and Kubernetes join by a
further rig; no test of the suite names a backend.
"""

import asyncio
import contextlib
import os
import secrets
import signal
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import docker
import psutil

from spawner.backends.base import Backend, Order
from spawner.backends.docker import DockerBackend
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.memory import MemoryBackend, World
from spawner.backends.memory_faults import NeverStarts, Unreachable
from spawner.backends.process import ProcessBackend
from spawner.model import Template, base_path
from tests.components import TINY
from tests.networks import remove_networks

SERVER = Path(__file__).parents[1] / "provision" / "tiny" / "server.pl"


def new_id() -> str:
    return secrets.token_hex(13)


class Rig(ABC):
    """One kind of backend, and a hand inside its daemon."""

    def __init__(self) -> None:
        self._backends: list[Backend] = []
        self._instances: set[str] = set()

    async def make(self, instance: str = "one") -> Backend:
        """Open a backend of an instance; the first and any later one share the daemon."""
        backend = self._make(instance)
        await backend.open()
        self._backends.append(backend)
        self._instances.add(instance)
        return backend

    def order(self, **changes: Any) -> Order:
        environment_id = new_id()
        return Order(
            id=environment_id,
            base_path=base_path(environment_id, "/lab1/"),
            template=self.template(**changes),
            token=secrets.token_hex(8),
        )

    async def clear(self) -> None:
        """End everything that a test left, of whatever instance."""
        for backend in self._backends:
            await backend.close()
        for instance in self._instances:
            backend = self._make(instance)
            for seen in await backend.list():
                await backend.stop(seen.id, 0)
            await backend.close()

    @abstractmethod
    def _make(self, instance: str) -> Backend: ...

    @abstractmethod
    def template(self, **changes: Any) -> Template:
        """Give a template that listens, prints a line "listening", and minds TERM."""

    @abstractmethod
    def refused(self) -> tuple[Backend, Order]:
        """Give a backend and an order that it will refuse."""

    @abstractmethod
    def cut_off(self) -> Backend:
        """Give a backend whose daemon gives no answer."""

    @abstractmethod
    async def kill(self, order: Order) -> None:
        """End an environment behind its backend's back, as the kernel would."""

    @abstractmethod
    async def write(self, order: Order, count: int) -> None:
        """Have an environment write so many bytes to disk."""

    @abstractmethod
    async def say(self, order: Order, line: str) -> None:
        """Have an environment print a line."""

    @abstractmethod
    async def leftovers(self, order: Order) -> list[str]:
        """Name everything of an environment that is still there."""


class MemoryRig(Rig):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    def _make(self, instance: str) -> Backend:
        return MemoryBackend(instance, self.world)

    def template(self, **changes: Any) -> Template:
        return Template(name="tiny", **changes)

    def refused(self) -> tuple[Backend, Order]:
        return NeverStarts("one", self.world), self.order()

    def cut_off(self) -> Backend:
        return Unreachable("one", self.world)

    async def kill(self, order: Order) -> None:
        self.world.kill(order.id)

    async def write(self, order: Order, count: int) -> None:
        self.world.residents[order.id].written += count

    async def say(self, order: Order, line: str) -> None:
        self.world.residents[order.id].say(line)

    async def leftovers(self, order: Order) -> list[str]:
        return [order.id] if order.id in self.world.residents else []


class ProcessRig(Rig):
    """Real processes, below a directory of the test's own."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__()
        self.state_dir = state_dir

    def place(self, order: Order) -> Path:
        return self.state_dir / "environments" / order.id

    def _make(self, instance: str) -> ProcessBackend:
        return ProcessBackend(instance, self.state_dir)

    def template(self, **changes: Any) -> Template:
        return Template(**({"name": "tiny", "command": ("perl", str(SERVER))} | changes))

    def refused(self) -> tuple[Backend, Order]:
        backend = self._make("one")
        (self.state_dir / "environments").mkdir()
        return backend, self.order(command=None)

    def cut_off(self) -> Backend:
        (self.state_dir / "environments").write_text("not a directory")
        return self._make("one")

    async def kill(self, order: Order) -> None:
        os.kill(int((self.place(order) / "pid").read_text()), signal.SIGKILL)

    async def write(self, order: Order, count: int) -> None:
        (self.place(order) / "home" / "written").write_bytes(b"x" * count)

    async def say(self, order: Order, line: str) -> None:
        with (self.place(order) / "log").open("a") as log:  # its standard output
            log.write(f"{line}\n")

    async def leftovers(self, order: Order) -> list[str]:
        places = [str(path) for path in self.state_dir.rglob(f"*{order.id}*")]
        return places + [str(process) for process in marked(order.id)]


def marked(environment_id: str) -> list[psutil.Process]:
    """Give the living processes that carry an environment's id."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get("TMPENV_ID") == environment_id:
                found.append(process)
    return found


class DockerRig(Rig):
    """A real daemon; instances have names of their own, so that tests run side by side."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.settings = DockerSettings(**settings)
        self.client = docker.APIClient(self.settings.url or None, version="auto")
        self._prefix = f"test-{secrets.token_hex(4)}"

    def instance(self, name: str = "one") -> str:
        return f"{self._prefix}-{name}"

    def container(self, order: Order, name: str = "one") -> str:
        return f"tmpenv-{self.instance(name)}-{order.id}"

    def _make(self, instance: str) -> DockerBackend:
        return DockerBackend(self.instance(instance), self.settings)

    def template(self, **changes: Any) -> Template:
        usual: dict[str, Any] = {"name": "tiny", "image": TINY, "memory": "64M", "pids": 32}
        return Template(**(usual | changes))

    def refused(self) -> tuple[Backend, Order]:
        self._instances.add("one")
        return self._make("one"), self.order(mounts=["/nowhere:/inside"])

    def cut_off(self) -> Backend:
        return DockerBackend("one", DockerSettings(url="unix:///nowhere/docker.sock"))

    async def kill(self, order: Order) -> None:
        label = f"tmpenv.id={order.id}"
        (found,) = await asyncio.to_thread(self.client.containers, filters={"label": label})
        await asyncio.to_thread(self.client.kill, found["Id"])

    async def write(self, order: Order, count: int) -> None:
        await self.run(order, "sh", "-c", f"head -c {count} /dev/zero >/tmp/written")

    async def run(self, order: Order, *command: str) -> str:
        """Run a command in an environment's container; give what it printed."""

        def call() -> str:
            made = self.client.exec_create(self.container(order), list(command))
            return self.client.exec_start(made["Id"]).decode(errors="replace")

        return await asyncio.to_thread(call)

    async def say(self, order: Order, line: str) -> None:
        assert await self.run(order, "sh", "-c", 'echo "$0" >/proc/1/fd/1', line) == ""

    async def leftovers(self, order: Order) -> list[str]:
        ours = {"label": f"tmpenv.id={order.id}"}
        containers = await asyncio.to_thread(self.client.containers, all=True, filters=ours)
        networks = await asyncio.to_thread(self.client.networks, filters=ours)
        return [found["Id"] for found in (*containers, *networks)]

    async def clear(self) -> None:
        await super().clear()
        for instance in self._instances:
            label = f"tmpenv.instance={self.instance(instance)}"
            assert remove_networks(self.client, label), f"a container still uses {label}"
        self.client.close()
