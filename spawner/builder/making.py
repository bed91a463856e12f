"""Make one image: fetch, plan, build, push, register.

The one rule: nothing that others see changes before the image is there. Whatever goes
wrong is an outcome with a reason; only the end of the lease or of tmpenv leaves a build
half done, and then the next one that takes it starts over.
"""

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from spawner.builder.base import Engine, Planner, Sources
from spawner.builder.log_writer import RETRY_S, LogWriter
from spawner.builder.model import Build, Outcome, Plan, Stage
from spawner.builder.registering import refuse_declared, refuse_root, register
from spawner.builder.settings import BuildSettings
from spawner.catalogue import Catalogue
from spawner.errors import BackendUnavailable, BuildFailed, ServiceError, StoreUnavailable
from spawner.store.builds import BuildStore, Taken
from spawner.store.connection import Fenced

log = logging.getLogger(__name__)

#: How long a daemon that went away is waited for, before each try: nearly five minutes.
PAUSES_S = (1, 2, 4, 8, 15, 30, 30, 30, 30, 30, 30, 30, 30)
#: A build that ended so often with the tmpenv that ran it may be what ends it.
MOST_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What builds are made with."""

    sources: Sources
    planner: Planner
    engine: Engine
    settings: BuildSettings
    catalogue: Catalogue
    store: BuildStore
    #: Where each build has a directory while it runs.
    scratch: Path
    #: Says what a log ends with once the image is there.
    farewell: Callable[[Build], Sequence[str]] = field(default=lambda _build: ())
    pauses_s: Sequence[float] = PAUSES_S


class Making:
    """One build that runs."""

    def __init__(self, workshop: Workshop, taken: Taken, log: LogWriter, fence: int) -> None:
        self._with = workshop
        self._build = taken.build
        self._tries = taken.tries
        self._log = log
        self._fence = fence
        self._workspace = workshop.scratch / f"{fence}-{taken.build.id}"

    async def run(self) -> tuple[Outcome, str]:
        """Make the image and its template; say what came of it, and why.

        Raises:
            Fenced: Another holds the lease; nothing may be said any more.
        """
        try:
            await self._in_time()
        except ServiceError as error:
            return self._failed(str(error))
        except Fenced:
            raise
        except Exception:
            log.exception("A build met an error", extra=self._facts("build.error"))
            return self._failed("Internal error; the log of tmpenv says more.")
        finally:
            await asyncio.to_thread(shutil.rmtree, self._workspace, ignore_errors=True)
        for line in ("The image is ready.", *self._with.farewell(self._build)):
            self._log.tell(line)
        return Outcome.COMPLETED, ""

    def _failed(self, reason: str) -> tuple[Outcome, str]:
        self._log.tell(f"Failed: {reason}")
        return Outcome.FAILED, reason

    async def _in_time(self) -> None:
        settings = self._with.settings
        loop, quiet_s = asyncio.get_running_loop(), settings.quiet_timeout.total_seconds()
        try:
            async with AsyncExitStack() as stack:
                whole = await stack.enter_async_context(
                    asyncio.timeout(settings.timeout.total_seconds())
                )
                quiet = await stack.enter_async_context(asyncio.timeout(quiet_s))

                def hear() -> None:
                    if not quiet.expired():
                        quiet.reschedule(loop.time() + quiet_s)

                self._log.heard = hear
                stack.callback(self._hear_no_more)
                await self._make()
        except TimeoutError as error:
            if whole.expired():
                raise BuildFailed(f"It took longer than {settings.timeout}.") from error
            if quiet.expired():
                raise BuildFailed(f"It printed nothing for {settings.quiet_timeout}.") from error
            raise

    def _hear_no_more(self) -> None:
        self._log.heard = lambda: None

    async def _make(self) -> None:
        if self._tries > MOST_TRIES:
            raise BuildFailed(f"It was interrupted {MOST_TRIES} times, and is not tried again.")
        if self._tries > 1:
            self._log.tell(
                "Started over: tmpenv, or what ran this in it, ended meanwhile "
                f"(try {self._tries} of {MOST_TRIES})."
            )
        refuse_declared(self._with.catalogue, self._build.name)
        plan = await self._plan(await self._fetch())
        await self._patiently(plan)
        self._log.enter(Stage.REGISTERING)
        self._log.tell(f"Registering the template {self._build.name}")
        await self._register(plan)

    async def _fetch(self) -> Path:
        build = self._build
        self._log.enter(Stage.FETCHING)
        self._log.tell(f"Fetching {build.source.url} at {build.commit}")
        directory = self._workspace / "files"
        await asyncio.to_thread(directory.mkdir, parents=True)
        await self._with.sources.fetch(build.source, build.commit, directory, self._log.tell)
        return directory

    async def _plan(self, directory: Path) -> Plan:
        self._log.enter(Stage.BUILDING)
        loop = asyncio.get_running_loop()

        def tell(line: str) -> None:
            loop.call_soon_threadsafe(self._log.tell, line)

        own = self._workspace / "own"
        await asyncio.to_thread(own.mkdir)
        plan = await asyncio.to_thread(
            self._with.planner.plan, directory, own, self._build.dependencies, tell
        )
        self._log.use(plan.dependencies)
        return plan

    async def _patiently(self, plan: Plan) -> None:
        """Build and push; wait for a daemon that went away, and do it again."""
        for pause_s in (*self._with.pauses_s, None):
            try:
                await self._build_and_push(plan)
            except BackendUnavailable as error:
                if pause_s is None:
                    raise BuildFailed(f"Docker did not come back: {error}") from error
                self._log.tell(f"Docker does not answer: {error} Waiting for it to start over.")
                await asyncio.sleep(pause_s)
            else:
                return

    async def _build_and_push(self, plan: Plan) -> None:
        engine, image = self._with.engine, self._build.image
        self._log.enter(Stage.BUILDING)
        self._log.tell(f"Building {image}")
        labels = {
            "org.opencontainers.image.source": self._build.source.url,
            "org.opencontainers.image.revision": self._build.commit,
        }
        await engine.build(plan, image, labels=labels, tell=self._log.tell, step=self._log.step)
        known = self._with.catalogue.templates.get(self._build.name)
        refuse_root(await engine.user_of(image), known)
        self._log.enter(Stage.PUSHING)
        await engine.push(image, self._log.tell)

    async def _register(self, plan: Plan) -> None:
        """Register as soon as the store answers."""
        while True:
            try:
                await register(
                    self._build,
                    plan,
                    self._with.catalogue,
                    self._with.store,
                    size=self._with.settings.pool_size,
                    fence=self._fence,
                )
            except StoreUnavailable:
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _facts(self, event: str) -> dict[str, str]:
        return {"event": event, "build": self._build.id, "image_name": self._build.name}
