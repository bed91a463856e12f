"""Act on signals: TERM ends when what is open has ended, INT at once, HUP renews."""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Protocol

log = logging.getLogger(__name__)


class Drains(Protocol):
    """What can be drained."""

    async def drain(self, *, keeps_idle: bool) -> None:
        """Stop accepting, and finish what is open."""
        ...


class Signals:
    """The signals that were heard and not yet acted on."""

    def __init__(self, stack: AsyncExitStack) -> None:
        """Hear signals until ``stack`` ends."""
        self._heard: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._stack = stack
        self.is_followed = False
        self._renew: Callable[[], Awaitable[None]] | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            self._hear(number)

    def leave(self) -> None:
        """End as at SIGTERM, because another process has taken the port over."""
        self.is_followed = True
        self._heard.put_nowait(signal.SIGTERM)

    def renew_by(self, renew: Callable[[], Awaitable[None]]) -> None:
        """Call ``renew`` at each SIGHUP, which else ends the process, as ever."""
        self._renew = renew
        self._hear(signal.SIGHUP)

    async def wait(self) -> signal.Signals:
        """Wait for the next signal to end."""
        while (number := await self._heard.get()) is signal.SIGHUP:
            assert self._renew is not None
            await self._renew()
        return number

    async def drain(self, path: Drains, *, after_s: float = 0.0) -> None:
        """Serve on for so long, then let what is open end; a second signal cuts it off."""
        log.info("Draining", extra={"event": "exit.draining", "after_s": after_s})
        draining = asyncio.create_task(self._drain(path, after_s))
        heard = asyncio.create_task(self.wait())
        await asyncio.wait({draining, heard}, return_when=asyncio.FIRST_COMPLETED)
        for task in (draining, heard):
            task.cancel()
        await asyncio.gather(draining, heard, return_exceptions=True)

    async def _drain(self, path: Drains, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await path.drain(keeps_idle=self.is_followed)

    def _hear(self, number: signal.Signals) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(number, self._heard.put_nowait, number)
        self._stack.callback(loop.remove_signal_handler, number)
