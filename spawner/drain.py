"""Hand out nothing more, and say when the last visitor has left.

A drain is the instance's, not a process': it stands in the store, and the step
that hands out looks at it, so no launch slips through. Whoever waited when it
began still gets an environment, and whoever has one keeps it.

The one rule: a drain ends when nothing is left that anybody would have to end.
Then every process that was there ends by itself (:meth:`Drain.run` returns); one
that is started after that serves as ever, and one that is started before goes on
with the drain.
"""

import asyncio
import logging

from spawner.errors import StoreUnavailable
from spawner.model import DrainStatus
from spawner.store.store import Store

log = logging.getLogger(__name__)

LOOK_S = 1.0


class Drain:
    """The instance's drain, as one process sees it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def begin(self) -> bool:
        """Hand out nothing from now on, in every process; False if it was so already."""
        return await self._store.drain(is_wanted=True)

    async def take_back(self) -> bool:
        """Hand out again; False if nothing was being drained."""
        return await self._store.drain(is_wanted=False)

    async def status(self) -> DrainStatus:
        """Say whether there is a drain, and how much is left."""
        return await self._store.drained()

    async def run(self) -> None:
        """Return when a drain has ended that went on while this process ran."""
        known = await self._until_known()
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                status = await self._store.drained()
            except StoreUnavailable:
                continue
            if status.last_ended > known:
                log.info("Drained: the last has left", extra={"event": "drain.ended"})
                return

    async def _until_known(self) -> int:
        """Take a drain that has ended as over; say which was the last."""
        while True:
            try:
                return (await self._store.drained(is_starting=True)).last_ended
            except StoreUnavailable:
                await asyncio.sleep(LOOK_S)
