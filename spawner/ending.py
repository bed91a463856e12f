"""End what is to end, and free its place.

The one rule: a place is free only when the backend said that nothing is left.
Everything in an ending phase is found in the store, so an end that a crash
cut short goes on, and one that fails is tried again, ever more patiently.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta

from spawner.backends.base import Backend
from spawner.errors import ServiceError, StoreUnavailable
from spawner.lifecycle import ENDING
from spawner.model import Environment, Template
from spawner.store.records import Event
from spawner.store.store import Store

log = logging.getLogger(__name__)

SWEEP_S = 2.0
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 60.0
#: Lets routers close its WebSockets with a code before the backend cuts them.
FAREWELL_S = 0.1
DEFAULT_GRACE = timedelta(seconds=5)


class Ending:
    """The loop that ends environments.

    Its state is the set of ids that it works on at the moment.
    """

    def __init__(self, store: Store, backend: Backend, templates: Mapping[str, Template]) -> None:
        self._store = store
        self._backend = backend
        self._templates = templates
        self._active: set[str] = set()
        self._wake = asyncio.Event()

    def hear(self, event: Event) -> None:
        """Look at once when something is to end."""
        if event.phase in ENDING:
            self._wake.set()

    async def run(self, fence: int) -> None:
        """Work until cancelled."""
        self._active.clear()
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                for environment in await self._due():
                    self._active.add(environment.id)
                    group.create_task(self._end(environment, fence))
                with suppress(TimeoutError):
                    async with asyncio.timeout(SWEEP_S):
                        await self._wake.wait()

    async def _due(self) -> list[Environment]:
        try:
            ending = await self._store.environments(ENDING)
        except StoreUnavailable:
            # Ends under way go on; leaving the group would cut them off.
            return []
        return [environment for environment in ending if environment.id not in self._active]

    async def _end(self, environment: Environment, fence: int) -> None:
        """Try until it is gone."""
        retry_s = FIRST_RETRY_S
        if environment.assigned_at is not None:
            await asyncio.sleep(FAREWELL_S)
        try:
            while not await self._remove(environment, fence):
                await asyncio.sleep(retry_s)
                retry_s = min(retry_s * 2, LONGEST_RETRY_S)
        finally:
            self._active.discard(environment.id)

    async def _remove(self, environment: Environment, fence: int) -> bool:
        """Try once; False if it has to be tried again."""
        template = self._templates.get(environment.template)
        grace = template.stop_grace if template else DEFAULT_GRACE
        began = time.monotonic()
        try:
            await self._backend.stop(environment.id, grace.total_seconds())
            await self._store.removed(environment.id, fence=fence)
        except StoreUnavailable:
            return False
        except ServiceError as error:
            await self._complain(environment, error)
            return False
        log.info(
            "Environment gone",
            extra={
                "event": "environment.gone",
                "environment": environment.id,
                "template": environment.template,
                "reason": environment.reason,
                "seconds": round(time.monotonic() - began, 3),
            },
        )
        return True

    async def _complain(self, environment: Environment, error: ServiceError) -> None:
        detail = f"could not be ended: {error}"
        log.warning(
            "Environment could not be ended",
            extra={
                "event": "environment.stop_failed",
                "environment": environment.id,
                "template": environment.template,
                "reason": str(error),
            },
        )
        with suppress(StoreUnavailable):
            await self._store.note(environment.id, detail)
