"""Measure what environments have on disk, and begin the end of who has too much.

Where Docker itself holds a container to a size, nobody gets so far. Elsewhere
this loop is the limit, as often as it looks: until it does, one may exceed it.

The one rule: only a measurement ends anybody. Who could not be measured is
left alone and told to the operator.
"""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from spawner.backends.base import Backend
from spawner.errors import BackendUnavailable
from spawner.model import Environment, Phase, Template
from spawner.recorder import UNRECORDED, Recorder
from spawner.store.store import Store
from spawner.units import size_text

log = logging.getLogger(__name__)

#: Why these environments end, in records, logs and on pages.
REASON = "disk"
#: So many are measured at once: it is the disk that takes the time.
MEASURED_AT_ONCE = 2


def excess(used: int, limit: int) -> str:
    """Say how much too much an environment has on disk; empty if it is within its limit (pure)."""
    if used <= limit:
        return ""
    return f"used {size_text(used)} of disk, and its limit is {size_text(limit)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskWatch:
    """The loop that measures."""

    store: Store
    backend: Backend
    templates: Mapping[str, Template]
    #: Between two measurements of all.
    interval: timedelta
    recorder: Recorder = UNRECORDED

    async def run(self, fence: int) -> None:
        """Work until cancelled, never for more than half of the time."""
        pause_s = self.interval.total_seconds()
        while True:
            await asyncio.sleep(pause_s)
            began = time.monotonic()
            await self.look(fence)
            pause_s = max(self.interval.total_seconds(), time.monotonic() - began)

    async def look(self, fence: int) -> None:
        """Measure every environment once."""
        turn = asyncio.Semaphore(MEASURED_AT_ONCE)
        found = await self.store.environments((Phase.READY, Phase.ASSIGNED))
        limited = [one for one in found if one.template in self.templates]
        async with asyncio.TaskGroup() as group:
            for environment in limited:
                group.create_task(self._measure(environment, turn, fence))

    async def _measure(self, environment: Environment, turn: asyncio.Semaphore, fence: int) -> None:
        async with turn:
            try:
                used = await self.backend.disk_usage(environment.id)
            except BackendUnavailable as error:
                self._tell_unknown(environment, error)
                return
        detail = excess(used or 0, self.templates[environment.template].disk)
        if detail:
            await self._end(environment, detail, fence)

    async def _end(self, environment: Environment, detail: str, fence: int) -> None:
        is_ended = await self.store.finish(
            environment.id, Phase.DRAINING, REASON, version=environment.version, fence=fence
        )
        if not is_ended:
            return
        self.recorder.culled(environment.template, REASON)
        await self.store.note(environment.id, detail)
        log.info(
            "Environment culled",
            extra={
                "event": "environment.culled",
                "environment": environment.id,
                "template": environment.template,
                "reason": REASON,
                "detail": detail,
            },
        )

    def _tell_unknown(self, environment: Environment, error: BackendUnavailable) -> None:
        log.warning(
            "An environment's use of the disk is not known",
            extra={
                "event": "disk.unknown",
                "environment": environment.id,
                "template": environment.template,
                "reason": str(error),
            },
        )
