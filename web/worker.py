"""One process of a data path, as its control process starts it.

It is told what to do over a channel: to serve, to drain, to end. When the channel
ends, so has the control process, and this one drains by itself. ::

    python -P -m web.worker CHANNEL LISTENER...    # descriptors; its work comes by stdin
"""

import asyncio
import logging
import pickle
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial

import uvloop

from proxy.channel import Channel, Message
from proxy.sockets import Listeners
from proxy.workers import TELL_S
from web import logs
from web.data_path import DataPath, Work

log = logging.getLogger(__name__)


class _Process:
    """What this process does; it ends when it has drained, or is told to, or a part of it fails."""

    def __init__(self, channel: Channel, listeners: Listeners, path: DataPath) -> None:
        self._channel = channel
        self._listeners = listeners
        self._path = path
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Serve until the end."""
        # Whoever ends all processes of a service at once means a clean end.
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._begin, self._drain)
        for work in (self._read, self._tell, *self._path.duties):
            self._begin(work)
        self._channel.send(ready=True)
        await self._ended.wait()
        self._tell_once()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._path.proxy.abort()
        await self._channel.flush()

    def _begin(self, work: Callable[[], Awaitable[None]]) -> None:
        async def do() -> None:
            try:
                await work()
            except Exception:
                log.exception("A part failed", extra={"event": "worker.failed"})
                self._ended.set()

        self._tasks.append(asyncio.get_running_loop().create_task(do()))

    async def _read(self) -> None:
        async for message in self._channel.messages():
            await self._act(message)
            if "number" in message:
                self._channel.send(done=message["number"])
        await self._drain()

    async def _act(self, message: Message) -> None:
        match message["do"]:
            case "serve":
                await self._path.proxy.serve(self._listeners, self._path.certificate)
            case "drain":
                self._begin(partial(self._drain, keeps_idle=message["keeps_idle"]))
            case "abort":
                self._ended.set()
            case _:
                await self._path.hear(message)

    async def _drain(self, *, keeps_idle: bool = False) -> None:
        await self._path.proxy.drain(keeps_idle=keeps_idle)
        self._ended.set()

    async def _tell(self) -> None:
        while True:
            self._tell_once()
            await asyncio.sleep(TELL_S)

    def _tell_once(self) -> None:
        self._channel.send(counts=self._path.proxy.counts.facts())


async def _run(work: Work, channel: int, listeners: list[int]) -> None:
    async with AsyncExitStack() as stack:
        line = await Channel.over(socket.socket(fileno=channel))
        stack.callback(line.close)
        path = await work.open(stack, line.send)
        sockets = [socket.socket(fileno=one) for one in listeners]
        await _Process(line, sockets, path).run()


def main() -> None:
    """Do the work that comes by standard input."""
    work: Work = pickle.load(sys.stdin.buffer)  # noqa: S301  # from whoever started us
    logs.send(work.log)
    channel, *listeners = map(int, sys.argv[1:])
    uvloop.run(_run(work, channel, listeners))


if __name__ == "__main__":
    main()
