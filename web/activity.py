"""Write the activity that the proxy sees into the store.

The first use of an environment after a quiet second of its own is written at
once, whatever goes on in others: the cull of a long idle one may be decided by
another replica, which knows what is in the store alone. What follows is gathered
for a second. While the store is away it is kept, and written when it is back.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

from proxy.activity import ActivityEntry, ActivityLog
from proxy.routes import Route, Standing
from spawner.errors import StoreUnavailable
from spawner.store.store import Store, Touch

INTERVAL_S = 1.0
#: First uses that come so close together are written in one step.
PAUSE_S = 0.05


class ActivityWriter:
    """Writes each environment at most once a second."""

    def __init__(
        self, log: ActivityLog, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._store = store
        self.now = clock
        self._wake = asyncio.Event()
        self._pending: dict[str, ActivityEntry] = {}
        self._written: dict[str, float] = {}
        self._again: asyncio.TimerHandle | None = None
        log.on_first = self._wake.set

    def observe(self, route: Route) -> None:
        """Drop the clocks of an environment that has ended."""
        if route.standing is Standing.GONE:
            self._log.forget(route.environment_id)
            self._pending.pop(route.environment_id, None)
            self._written.pop(route.environment_id, None)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._write(is_due=self._is_due)
            await asyncio.sleep(PAUSE_S)

    async def flush(self) -> None:
        """Write all there is; what the store did not take is kept for the next time."""
        await self._write(is_due=lambda _entry: True)

    def _is_due(self, entry: ActivityEntry) -> bool:
        written = self._written.get(entry.environment_id)
        return written is None or self.now() - written >= INTERVAL_S

    async def _write(self, *, is_due: Callable[[ActivityEntry], bool]) -> None:
        await self._write_some(is_due)
        if self._pending and self._again is None:
            self._again = asyncio.get_running_loop().call_later(INTERVAL_S, self._go_on)

    def _go_on(self) -> None:
        self._again = None
        self._wake.set()

    async def _write_some(self, is_due: Callable[[ActivityEntry], bool]) -> None:
        self._pending.update((entry.environment_id, entry) for entry in self._log.take())
        entries = tuple(filter(is_due, self._pending.values()))
        if not entries:
            return
        now = self.now()
        try:
            await self._store.touch([self._touch(entry, now) for entry in entries])
        except StoreUnavailable:
            return
        for entry in entries:
            if entry.environment_id in self._pending:  # it has not ended meanwhile
                self._written[entry.environment_id] = now
            # A newer entry may have come in meanwhile.
            if self._pending.get(entry.environment_id) is entry:
                del self._pending[entry.environment_id]

    @staticmethod
    def _touch(entry: ActivityEntry, now: float) -> Touch:
        clocks = (entry.http, entry.ws_in, entry.ws_out, entry.control)
        return Touch(
            entry.environment_id,
            tuple(
                None if tick is None else timedelta(seconds=max(0.0, now - tick)) for tick in clocks
            ),
        )
