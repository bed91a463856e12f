"""Carry out the plans of the pools.

The one rule: at most ``max_starting`` starts at once for the whole backend,
and what a template needs first (an image that has to be pulled) is waited
for outside that number, so that it holds up no other template.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from spawner.backends.base import Backend
from spawner.errors import BackendUnavailable, ServiceError, StoreUnavailable
from spawner.lifecycle import COMING
from spawner.model import Environment, Phase, Pool, Template
from spawner.pool import outlived, plan
from spawner.starting import Starter
from spawner.store.connection import Fenced
from spawner.store.records import Event
from spawner.store.store import Store

log = logging.getLogger(__name__)

#: The longest time between two looks, should an event be missed.
SWEEP = timedelta(seconds=5)
PROGRESS_S = 0.5
COMPLETE_PAUSE_S = 0.05


class Refill:
    """The loop that starts environments.

    Its state is the starts under way, and what has been prepared.
    """

    def __init__(
        self,
        store: Store,
        backend: Backend,
        starter: Starter,
        *,
        templates: Mapping[str, Template],
        pools: Mapping[str, Pool],
        max_starting: int,
    ) -> None:
        self._store = store
        self._backend = backend
        self._starter = starter
        self._templates = templates
        self._pools = pools
        self._max_starting = max_starting
        self._starting = 0
        self._prepared: set[str] = set()
        self._preparing: set[str] = set()
        self._wake = asyncio.Event()
        self._is_changed = False

    def hear(self, event: Event) -> None:
        """Plan at once when a hand-out, an end or a new launch changed the counts."""
        if event.phase not in COMING:
            self._wake.set()

    def change(self) -> None:
        """Look at once at spares and plans, since templates or pools changed."""
        self._is_changed = True
        self._wake.set()

    async def run(self, fence: int) -> None:
        """Work until cancelled."""
        self._starting = 0
        self._preparing.clear()
        await self._until_complete()
        loop = asyncio.get_running_loop()
        next_sweep = loop.time()
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                again = SWEEP
                # Starts under way go on while the store is away; leaving the
                # group would cut them off.
                with suppress(StoreUnavailable):
                    if self._is_changed or loop.time() >= next_sweep:
                        self._is_changed = False
                        await self._sweep(fence)
                        next_sweep = loop.time() + SWEEP.total_seconds()
                    again = await self._look(group, fence)
                with suppress(TimeoutError):
                    async with asyncio.timeout(again.total_seconds()):
                        await self._wake.wait()

    async def _until_complete(self) -> None:
        """Wait until all that runs has a record, so that no pool outgrows its size."""
        while not await self._store.is_complete():
            try:
                await self._backend.ping()
            except BackendUnavailable as error:
                for name in self._pools:
                    await self._store.trouble(name, str(error))
            await asyncio.sleep(COMPLETE_PAUSE_S)

    async def _sweep(self, fence: int) -> None:
        """End spares that have outlived their use, and launches that nobody asks for."""
        await self._store.lapse("abandoned")
        spares: dict[str, list[Environment]] = {}
        for spare in await self._store.environments((Phase.READY,)):
            spares.setdefault(spare.template, []).append(spare)
        now = await self._store.now()
        is_draining = (await self._store.drained()).is_on
        for status in await self._store.census(list(spares)):
            name = status.template
            if name in self._pools:
                verdicts = outlived(
                    _warm(self._pools[name], is_draining=is_draining),
                    self._templates[name],
                    spares[name],
                    status,
                    mount=self._starter.mount,
                    now=now,
                )
            else:
                verdicts = [(spare, "template removed") for spare in spares[name]]
            for spare, reason in verdicts:
                await self._store.finish(
                    spare.id, Phase.DRAINING, reason, version=spare.version, fence=fence
                )

    async def _look(self, group: asyncio.TaskGroup, fence: int) -> timedelta:
        """Plan every pool; return how long to wait for something to happen."""
        again = SWEEP
        is_draining = (await self._store.drained()).is_on
        for status in await self._store.census(list(self._pools)):
            pool = self._pools.get(status.template)
            if pool is None:
                continue
            wanted = plan(_warm(pool, is_draining=is_draining), status)
            await self._begin(group, status.template, wanted.start, fence)
            again = min(again, wanted.again_after or again)
        return again

    async def _begin(self, group: asyncio.TaskGroup, name: str, wanted: int, fence: int) -> None:
        """Record what is wanted here, so that the next look counts it, and start it aside."""
        template, pool = self._templates[name], self._pools[name]
        if not wanted or template.name in self._preparing:
            return
        if template.digest not in self._prepared:
            self._preparing.add(template.name)
            group.create_task(self._prepare(template))
            return
        for _ in range(min(wanted, self._max_starting - self._starting)):
            environment_id = await self._starter.record(template, pool, fence)
            if environment_id is None:
                return
            self._starting += 1
            group.create_task(self._start(environment_id, template, fence))

    async def _start(self, environment_id: str, template: Template, fence: int) -> None:
        try:
            if not await self._starter.start(environment_id, template, fence):
                # What it was prepared with may be what is missing.
                self._prepared.discard(template.digest)
        except StoreUnavailable:
            log.debug("A start waits for the store", extra={"event": "start.waiting"})
        except Fenced:
            raise
        except Exception:
            # A mistake in one start must not cut off the others.
            log.exception("A start failed", extra={"event": "start.failed"})
        finally:
            self._starting -= 1
            self._wake.set()

    async def _prepare(self, template: Template) -> None:
        lines: list[str] = []
        reporter = asyncio.create_task(self._report(template.name, lines))
        try:
            began = time.monotonic()
            await self._backend.prepare(template, lines.append)
            self._prepared.add(template.digest)
            log.info(
                "Template prepared",
                extra={
                    "event": "template.prepared",
                    "template": template.name,
                    "seconds": round(time.monotonic() - began, 3),
                },
            )
        except ServiceError as error:
            log.warning(
                "Template could not be prepared",
                extra={
                    "event": "template.failed",
                    "template": template.name,
                    "reason": str(error),
                },
            )
            with suppress(StoreUnavailable):
                await self._store.trouble(template.name, str(error))
        finally:
            reporter.cancel()
            self._preparing.discard(template.name)
            self._wake.set()

    async def _report(self, template: str, lines: list[str]) -> None:
        """Show the newest of ``lines`` while they come; the backend's threads append to it."""
        while True:
            await asyncio.sleep(PROGRESS_S)
            if lines:
                newest = lines[-1]
                lines.clear()
                with suppress(StoreUnavailable):
                    await self._store.progress(template, newest)


def _warm(pool: Pool, *, is_draining: bool) -> Pool:
    """Give a pool as it is kept: in a drain nothing is warm, and only who waits gets one."""
    return pool.model_copy(update={"spare": 0}) if is_draining else pool
