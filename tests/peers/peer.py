"""What every peer is: one server process that leads ``/user/<id>`` to one upstream.

A peer is started with its routes, and ended, by whoever made it. What it says
goes to a file in its directory, which is what a failure shows.
"""

import asyncio
import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Self

import psutil

from tests.serving import free_port
from tests.waiting import eventually

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0


class Peer(ABC):
    """A proxy that leads all of ``ids`` to the upstream, WebSockets too.

    ``prefix`` is what its command is run under, such as ``taskset -c 0``.
    """

    name: ClassVar[str]
    #: Of tests/components.py: what the machine must have.
    component: ClassVar[str]

    def __init__(
        self,
        directory: Path,
        upstream_port: int,
        ids: Sequence[str] = ("abc",),
        *,
        prefix: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.upstream_port = upstream_port
        self.ids = ids
        self.port = free_port()
        self._prefix = prefix
        self._log = directory / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> Sequence[str]:
        """Give the command, having written the files that it reads."""

    def variables(self) -> Mapping[str, str]:
        """Give what is added to the process' environment."""
        return {}

    async def lead(self) -> None:  # noqa: B027  # files may have said it already
        """Lead all ids to the upstream, where the files did not say so."""

    @property
    def address(self) -> tuple[str, int]:
        """Where visitors come in."""
        return HOST, self.port

    @property
    def pids(self) -> list[int]:
        """The processes that serve: the one that was started, and its children."""
        assert self._process is not None
        process = psutil.Process(self._process.pid)
        return [process.pid, *(child.pid for child in process.children(recursive=True))]

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it, wait until it listens, and have it lead the ids."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.variables()},
            )
        await self.until_listening(self.port)
        await self.lead()

    async def stop(self) -> None:
        """Ask it to end, and wait."""
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, 10)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)

    async def until_listening(self, port: int) -> None:
        """Wait until a connection to ``port`` is accepted."""

        async def listens() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                return False
            writer.close()
            return True

        await eventually(listens, within=START_TIMEOUT_S)
