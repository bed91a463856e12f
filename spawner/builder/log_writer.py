"""Write what a build says, and how far it is, into the store.

The one rule: a line is given its number when it is told, and is let go when the store has
it. While the store does not answer, lines wait, so that nothing is lost or doubled; of
too many the oldest are left out, which readers see by the gap in the numbers.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, islice

from spawner.builder.log_lines import fit
from spawner.builder.model import Stage
from spawner.errors import StoreUnavailable
from spawner.store.build_logs import BuildLogs, Progress, entry_of
from spawner.store.builds import Taken

#: What is told meanwhile costs one call.
BATCH_S = 0.1
BATCH_LINES = 500
RETRY_S = 0.5


class _Waiting:
    """Numbered lines that the store has not taken yet, and of too many the first and the last.

    Its state is both, and how large they are.
    """

    def __init__(self, half: int) -> None:
        self._half = half
        self._first: deque[tuple[int, str]] = deque()
        self._last: deque[tuple[int, str]] = deque()
        self._first_bytes = 0
        self._last_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._first or self._last)

    def add(self, number: int, entry: str) -> None:
        size = len(entry.encode())
        if not self._last and self._first_bytes + size <= self._half:
            self._first.append((number, entry))
            self._first_bytes += size
            return
        self._last.append((number, entry))
        self._last_bytes += size
        while self._last_bytes > self._half:
            self._last_bytes -= len(self._last.popleft()[1].encode())

    def batch(self, most: int) -> list[tuple[int, str]]:
        return list(islice(chain(self._first, self._last), most))

    def done(self, number: int) -> None:
        """Let go of all lines up to a number."""
        while self._first and self._first[0][0] <= number:
            self._first_bytes -= len(self._first.popleft()[1].encode())
        while self._last and self._last[0][0] <= number:
            self._last_bytes -= len(self._last.popleft()[1].encode())


class LogWriter:
    """The log of one build that runs.

    The mutable state is what is to be written: lines, progress, the dependencies used.
    """

    def __init__(
        self,
        logs: BuildLogs,
        taken: Taken,
        fence: int,
        *,
        mask: Callable[[str], str],
        half: int,
    ) -> None:
        """Bind; lines are numbered after those that are there.

        ``half`` is how much is kept while it waits: bytes from its head, and from its tail.
        """
        self._logs = logs
        self._id = taken.build.id
        self._fence = fence
        self._mask = mask
        self._number = taken.last_line
        self._waiting = _Waiting(half)
        self._used: tuple[str, ...] | None = None
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self.progress = Progress()
        #: Called whenever the build shows that it lives.
        self.heard: Callable[[], None] = lambda: None

    def tell(self, text: str) -> None:
        """Take what the build says; never waits."""
        for line in fit(text, self._mask):
            self._number += 1
            self._waiting.add(self._number, entry_of(line, self.progress))
        self._stir()

    def enter(self, stage: Stage) -> None:
        """Take that a stage begins."""
        self.progress = Progress(stage)
        self._stir()

    def step(self, step: int, steps: int) -> None:
        """Take how far the stage is."""
        self.progress = replace(self.progress, step=step, steps=steps)
        self._stir()

    def use(self, dependencies: tuple[str, ...]) -> None:
        """Take what decides what is installed."""
        self._used = dependencies
        self._stir()

    async def run(self) -> None:
        """Write what is told until cancelled.

        Raises:
            Fenced: Another holds the lease.
        """
        while True:
            await self._changed.wait()
            await asyncio.sleep(BATCH_S)
            await self.flush()

    async def flush(self) -> None:
        """Return when the store has everything that was told before.

        Raises:
            Fenced: Another holds the lease.
        """
        async with self._writing:
            while self._changed.is_set() or self._waiting:
                self._changed.clear()
                try:
                    await self._write()
                except StoreUnavailable:
                    self._changed.set()
                    await asyncio.sleep(RETRY_S)

    async def _write(self) -> None:
        batch = self._waiting.batch(BATCH_LINES)
        await self._logs.note(self._id, self.progress, batch, used=self._used, fence=self._fence)
        if batch:
            self._waiting.done(batch[-1][0])

    def _stir(self) -> None:
        self._changed.set()
        self.heard()
