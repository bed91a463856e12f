"""End on a signal: TERM ends when what is open has ended, INT at once."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from typing import Protocol

log = logging.getLogger(__name__)


class Drains(Protocol):
    """What can be drained."""

    async def drain(self) -> None:
        """Stop accepting, and finish what is open."""
        ...


class Signals:
    """The signals that were heard and not yet acted on."""

    def __init__(self, stack: AsyncExitStack) -> None:
        """Hear signals until ``stack`` ends."""
        self._heard: asyncio.Queue[signal.Signals] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._heard.put_nowait, number)
            stack.callback(loop.remove_signal_handler, number)

    async def wait(self) -> signal.Signals:
        """Wait for the next signal."""
        return await self._heard.get()

    async def drain(self, path: Drains) -> None:
        """Let what is open end; a second signal cuts it off."""
        log.info("Draining", extra={"event": "exit.draining"})
        draining = asyncio.create_task(path.drain())
        heard = asyncio.create_task(self.wait())
        await asyncio.wait({draining, heard}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, heard):
            task.cancel()
        await asyncio.gather(draining, heard, return_exceptions=True)
