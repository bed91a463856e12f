"""Hold the lease, and run the loops while it is held.

Replicas may run side by side: each has a keeper, and the store lets one of
them hold the lease. Its duties get the lease's fence and send it with every
write; when the lease is lost they are cancelled, and whoever takes over
finds in the store what they left half done.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from spawner.errors import StoreUnavailable
from spawner.holder import is_dead
from spawner.store.connection import Fenced
from spawner.store.store import Store

log = logging.getLogger(__name__)

#: Runs until cancelled, or raises Fenced.
Duty = Callable[[int], Awaitable[None]]
LEASE = "keeper"
TTL = timedelta(seconds=10)
RENEW_S = 2.5
RETRY_S = 1.0


class Keeper:
    """Runs ``duties`` in this process, or waits until it may."""

    def __init__(self, store: Store, holder: str, duties: Sequence[Duty]) -> None:
        self._store = store
        self._holder = holder
        self._duties = duties
        self.is_keeping = False

    async def run(self) -> None:
        """Compete for the lease until cancelled; give it back then."""
        try:
            while True:
                await self._compete()
                await asyncio.sleep(RETRY_S)
        finally:
            await self._release()

    async def _compete(self) -> None:
        try:
            fence = await self._claim()
            if fence:
                await self._keep(fence)
        except StoreUnavailable:
            log.debug("Could not ask for the lease", extra={"event": "lease.unknown"})

    async def _claim(self) -> int:
        claim = await self._store.claim(LEASE, self._holder, TTL)
        if not claim.fence and is_dead(claim.holder):
            claim = await self._store.claim(LEASE, self._holder, TTL, dead=claim.holder)
        return claim.fence

    async def _keep(self, fence: int) -> None:
        log.info("Keeping the pools", extra={"event": "lease.taken", "fence": fence})
        self.is_keeping = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._renew(fence))
                for duty in self._duties:
                    group.create_task(self._run(duty, fence))
        except* Fenced:
            log.warning("Lost the lease", extra={"event": "lease.lost", "fence": fence})
        finally:
            self.is_keeping = False

    async def _renew(self, fence: int) -> None:
        """Renew until the lease is lost.

        While the store does not answer, nobody can take it and the duties can
        write nothing, so there is nothing to give up.
        """
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                claim = await self._store.claim(LEASE, self._holder, TTL)
            except StoreUnavailable:
                continue
            if claim.fence != fence:
                raise Fenced

    async def _run(self, duty: Duty, fence: int) -> None:
        """Run one duty again whenever it fails: a loop must survive what it meets."""
        is_lost = False
        while not is_lost:
            try:
                await duty(fence)
            except* Fenced:
                is_lost = True
            except* StoreUnavailable:
                log.debug("A loop waits for the store", extra={"event": "loop.waiting"})
            except* Exception:
                log.exception("A loop failed", extra={"event": "loop.failed"})
            await asyncio.sleep(0 if is_lost else RETRY_S)
        raise Fenced

    async def _release(self) -> None:
        try:
            await self._store.release(LEASE, self._holder)
        except StoreUnavailable:
            log.debug("The lease will lapse", extra={"event": "lease.left"})
