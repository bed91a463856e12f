"""Write the activity that the proxy sees into the store.

The first use after a quiet second is written at once, so that a cull decided
elsewhere knows of it; what follows is gathered for a second. While the store
is away it is kept, and written when the store is back.
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


class ActivityWriter:
    """Writes at most once a second, all environments in one step."""

    def __init__(
        self, log: ActivityLog, store: Store, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._store = store
        self.now = clock
        self._wake = asyncio.Event()
        self._pending: dict[str, ActivityEntry] = {}
        log.on_first = self._wake.set

    def observe(self, route: Route) -> None:
        """Drop the clocks of an environment that has ended."""
        if route.standing is Standing.GONE:
            self._log.forget(route.environment_id)
            self._pending.pop(route.environment_id, None)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self.flush()
            await asyncio.sleep(INTERVAL_S)

    async def flush(self) -> None:
        """Write what there is; what the store did not take is kept for the next time."""
        self._pending.update((entry.environment_id, entry) for entry in self._log.take())
        entries = tuple(self._pending.values())
        if not entries:
            return
        now = self.now()
        try:
            await self._store.touch([self._touch(entry, now) for entry in entries])
        except StoreUnavailable:
            self._wake.set()
            return
        for entry in entries:
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
