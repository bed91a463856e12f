"""Run the builds, under the lease: what waits in its turn, and what was left half done.

The one rule: the store says what is to be built. What it calls running and nobody here
builds is taken again, after a crash as after a lost answer, so no build stays running
without somebody who runs it.
"""

import asyncio
import logging
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from spawner.builder.log_lines import mask_of
from spawner.builder.log_writer import RETRY_S, LogWriter
from spawner.builder.making import Making, Workshop
from spawner.builder.model import Outcome
from spawner.errors import ServiceError, StoreUnavailable
from spawner.recorder import Recorder
from spawner.store.build_logs import BuildLogs
from spawner.store.builds import Taken

log = logging.getLogger(__name__)

T = TypeVar("T")
#: The longest time between two looks, should a change be missed.
REREAD_S = 2.0
PRUNE_S = 300.0


class BuildDuty:
    """Runs builds while this process holds the lease.

    The mutable state is the work of each build that runs here.
    """

    def __init__(self, workshop: Workshop, logs: BuildLogs, recorder: Recorder) -> None:
        self._with = workshop
        self._logs = logs
        self._recorder = recorder
        self._mask = mask_of(workshop.settings, workshop.sources.hide)
        self._wake = asyncio.Event()
        self._works: dict[str, asyncio.Task[tuple[Outcome, str]]] = {}

    def hear(self, _build_id: str | None) -> None:
        """Look again, for something changed."""
        self._wake.set()

    async def run(self, fence: int) -> None:
        """Build what waits until cancelled.

        Raises:
            Fenced: Another holds the lease.
        """
        await asyncio.to_thread(self._clear)
        going: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                pause_s = REREAD_S
                try:
                    taken, unwanted = await self._with.store.take(
                        fence, at_once=self._with.settings.at_once, mine=sorted(going)
                    )
                except StoreUnavailable:
                    taken, unwanted, pause_s = [], set(), RETRY_S
                for build_id in unwanted & self._works.keys():
                    # Once: what it does after that must not be cut off.
                    self._works.pop(build_id).cancel()
                for one in taken:
                    going.add(one.build.id)
                    task = group.create_task(self._build(one, fence))
                    task.add_done_callback(self._over(going, one.build.id))
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()

    async def tidy(self, _fence: int) -> None:
        """Have old images removed now and then, until cancelled."""
        while True:
            try:
                await self._with.engine.prune(await self._in_use())
            except ServiceError as error:
                facts = {"event": "image.not_pruned", "reason": str(error)}
                log.debug("Could not look for old images", extra=facts)
            await asyncio.sleep(PRUNE_S)

    async def _in_use(self) -> set[str]:
        builds = await self._with.store.all()
        going = {one.image for one in builds if one.outcome is Outcome.RUNNING}
        return going | {one.image for one in self._with.catalogue.templates.values() if one.image}

    def _clear(self) -> None:
        """Remove what was left by those that ended in the middle."""
        shutil.rmtree(self._with.scratch, ignore_errors=True)
        self._with.scratch.mkdir(parents=True, exist_ok=True)

    def _over(self, going: set[str], build_id: str) -> Callable[[object], None]:
        def end(_task: object) -> None:
            going.discard(build_id)
            self._works.pop(build_id, None)
            self._wake.set()

        return end

    async def _build(self, taken: Taken, fence: int) -> None:
        writer = LogWriter(
            self._logs,
            taken,
            fence,
            mask=self._mask,
            half=self._with.settings.log_size // 2,
        )
        facts = {"build": taken.build.id, "image_name": taken.build.name}
        log.info("Build begins", extra={"event": "build.begun", **facts})
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(writer.run())
            work = group.create_task(Making(self._with, taken, writer, fence).run())
            self._works[taken.build.id] = work
            await asyncio.wait({work})
            outcome, reason = (Outcome.CANCELLED, "") if work.cancelled() else work.result()
            if outcome is Outcome.CANCELLED:
                writer.tell("Cancelled.")
            await writer.flush()
            writing.cancel()
        ended = await _answered(
            lambda: self._with.store.finish(
                taken.build.id, outcome, self._mask(reason), fence=fence
            )
        )
        log.info("Build ended", extra={"event": "build.ended", "outcome": outcome, **facts})
        if ended and ended.ended_at:
            took = ended.ended_at - ended.started_at
            self._recorder.built(outcome.value, took.total_seconds())


async def _answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the store answers."""
    while True:
        try:
            return await ask()
        except StoreUnavailable:
            await asyncio.sleep(RETRY_S)
