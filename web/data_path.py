"""A data path as its command sees it: in this process, or as several of their own.

:class:`Here` and :class:`~proxy.workers.Workers` are spoken to in the same way, so
that a command says what its data path is (:class:`Work`) and not how it is run.
"""

import asyncio
import pickle
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from proxy.channel import Message
from proxy.counts import Counts
from proxy.listener import Proxy
from proxy.sockets import Listeners
from proxy.tls import Certificate
from proxy.workers import Workers
from web.logs import LogStyle

#: Sends a message to the control process. Never waits.
Tell = Callable[..., None]

#: Runs one process of several.
COMMAND = (sys.executable, "-P", "-m", "web.worker")


class DataPath(Protocol):
    """What one process runs."""

    @property
    def proxy(self) -> Proxy:
        """The proxy, which serves nobody yet."""
        ...

    @property
    def certificate(self) -> Certificate | None:
        """What is shown to visitors, if TLS is spoken."""
        ...

    @property
    def duties(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What must run beside the proxy, until cancelled."""
        ...

    async def hear(self, message: Message) -> None:
        """Act on a message from the control process."""
        ...


class Work(Protocol):
    """What a process is given. It crosses by pickle, and may hold secrets."""

    @property
    def log(self) -> LogStyle:
        """What is logged, and how."""
        ...

    async def open(self, stack: AsyncExitStack, tell: Tell) -> DataPath:
        """Build the data path; ``stack`` ends what it holds."""
        ...


class Here:
    """The data path in this process."""

    def __init__(
        self, work: Callable[[], Work], listeners: Listeners, hear: Callable[[Message], None]
    ) -> None:
        self._work = work
        self._listeners = listeners
        self._hear = hear
        self._stack = AsyncExitStack()
        self._path: DataPath

    async def start(self) -> None:
        """Serve from now on."""
        self._path = path = await self._work().open(self._stack, self._tell)
        self._stack.push_async_callback(path.proxy.abort)
        await path.proxy.serve(self._listeners, path.certificate)

    async def run(self) -> None:
        """Do what goes on beside the proxy until cancelled."""
        async with asyncio.TaskGroup() as group:
            for duty in self._path.duties:
                group.create_task(_awaited(duty))

    @property
    def counts(self) -> Counts:
        """What it counts."""
        return self._path.proxy.counts

    #: Processes, and how many of them were replaced.
    processes = 1
    replaced = 0

    async def ask(self, **message: Any) -> None:
        """Return when the data path has acted on a message."""
        await self._path.hear(message)

    async def drain(self, *, keeps_idle: bool = False) -> None:
        """Stop accepting, and finish what is open (:meth:`proxy.listener.Proxy.drain`)."""
        await self._path.proxy.drain(keeps_idle=keeps_idle)

    async def abort(self) -> None:
        """End at once."""
        await self._stack.aclose()

    def _tell(self, **message: Any) -> None:
        self._hear(message)


async def _awaited(duty: Callable[[], Awaitable[None]]) -> None:
    await duty()


def data_path(
    work: Callable[[], Work], places: list[Listeners], hear: Callable[[Message], None]
) -> Here | Workers:
    """Return the data path that serves ``places``, in a process for each if they are several."""
    if len(places) == 1:
        return Here(work, places[0], hear)
    return Workers(COMMAND, places, work=lambda: pickle.dumps(work()), hear=hear)
