"""Make images from repositories: take requests for builds, and answer what came of them.

The one rule: a request is decided in one step of the store, so that any process may be
asked. Whoever holds the lease builds (:mod:`spawner.builder.duty`).
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from spawner.builder.base import Engine, Planner, Sources
from spawner.builder.duty import BuildDuty
from spawner.builder.inputs import inputs_of, is_made_of, tag_of
from spawner.builder.making import PAUSES_S, Workshop
from spawner.builder.model import Build, LogEntry, Source, Stage
from spawner.builder.settings import BuildSettings
from spawner.catalogue import Catalogue
from spawner.errors import SourceUnavailable
from spawner.recorder import UNRECORDED, Recorder
from spawner.store.build_logs import PAGE, BuildLogs, Progress, entry_of, id_of, number_of
from spawner.store.builds import BuildStore, LogLimits, Request
from spawner.store.connection import Connection

#: The longest time that a repository is asked for its commit while a caller waits.
RESOLVE_TIMEOUT = timedelta(seconds=15)
#: The longest time between two looks of who follows a log, should a change be missed.
REREAD_S = 5.0


class Builds:
    """The builds of one instance.

    Every method raises :class:`~spawner.errors.StoreUnavailable` when the store gives no
    answer.
    """

    def __init__(
        self,
        connection: Connection,
        catalogue: Catalogue,
        *,
        sources: Sources,
        planner: Planner,
        engine: Engine,
        settings: BuildSettings,
        scratch: Path,
        recorder: Recorder = UNRECORDED,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """Bind; ``scratch`` is a directory of this instance alone, emptied by :meth:`run`.

        ``pauses_s`` are those between tries when the daemon went away.
        """
        limits = LogLimits(settings.log_size // 2, settings.log_ttl)
        self._settings = settings
        self._sources = sources
        self._engine = engine
        self._catalogue = catalogue
        self._store = BuildStore(connection, limits)
        self._logs = BuildLogs(connection, limits)
        self._feed = self._store.feed()
        #: Says what a log ends with once the image is there: how it is opened.
        self.farewell: Callable[[Build], Sequence[str]] = lambda _build: ()
        workshop = Workshop(
            sources=sources,
            planner=planner,
            engine=engine,
            settings=settings,
            catalogue=catalogue,
            store=self._store,
            scratch=scratch,
            farewell=self._farewell,
            pauses_s=pauses_s,
        )
        self._duty = BuildDuty(workshop, self._logs, recorder)
        self._feed.listen(self._duty.hear)

    async def listen(self) -> None:
        """Follow what changes until cancelled; every process does."""
        await self._feed.run()

    async def start(
        self,
        repository: str,
        *,
        ref: str = "",
        dependencies: Sequence[str] = (),
        force: bool = False,
        caller: str = "",
        service_url: str = "",
    ) -> Build:
        """Build an image from a repository, or join the build that does; answer at once.

        An image that is there and that its template runs is used again, unless it is to be
        built by ``force``. Callers take turns. ``service_url`` is where the caller has found
        this service, for the links at the end of the log.

        Raises:
            BadSource: It is no repository that may be built; nothing was started.
            SourceUnavailable: Where it lies gave no answer in time.
            BackendUnavailable: Could not ask for the image.
            BuildFailed: The registry does not let us ask for it.
            AlreadyBuilding: The image is being built from something else.
            QueueFull: As many builds wait as may.
        """
        source = self._sources.read(repository, ref)
        commit = await self._resolve(source)
        inputs = inputs_of(source, commit, dependencies, self._settings)
        image = self._engine.reference(source.name, tag_of(commit, inputs))
        there = "" if force else await self._there(source, image)
        request = Request(
            source=source,
            # Who gave a name and a password before the host finds them nowhere again.
            repository=source.url if "@" in repository else repository,
            commit=commit,
            dependencies=dependencies,
            inputs=inputs,
            image=image,
            is_forced=force,
            caller=caller,
            service_url=service_url,
            there=there,
        )
        most = self._settings.at_once + self._settings.queue
        return await self._store.start(request, most=most, lines=self._first_lines(request))

    async def find(self, name: str) -> Build | None:
        """Give the latest build of a name."""
        return await self._store.find(name)

    async def of_repository(self, repository: str, ref: str = "") -> Build | None:
        """Give the latest build of a repository.

        Raises:
            BadSource: It is no repository that may be built.
        """
        return await self._store.find(self._sources.read(repository, ref).name)

    async def all(self) -> list[Build]:
        """Give the latest build of each name, the newest first."""
        return await self._store.all()

    async def cancel(self, name: str) -> bool:
        """End the build of a name that waits or runs; False if there is none."""
        return await self._store.cancel(name, entry_of("Cancelled.", Progress()))

    async def remove(self, name: str) -> bool:
        """Forget the latest build of a name and its log; False if there is none that has ended.

        Its template and its image stay.
        """
        return await self._store.remove(name)

    async def log(
        self, build: Build, *, after: str = "", follow: bool = False
    ) -> AsyncGenerator[LogEntry]:
        """Give the lines of a build's log; with ``follow`` until the build has ended.

        ``after`` is the id of the last line that is known already.
        """
        heard = asyncio.Event()

        def hear(build_id: str | None) -> None:
            if build_id in (None, build.id):
                heard.set()

        self._feed.listen(hear)
        try:
            while True:
                heard.clear()
                page = await self._logs.page(build.id, after)
                for entry in page.entries:
                    if left_out := number_of(entry.id) - number_of(after) - 1:
                        yield _gap(entry, left_out)
                    yield entry
                    after = entry.id
                if len(page.entries) == PAGE:
                    continue
                if page.has_ended or not follow:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(REREAD_S):
                        await heard.wait()
        finally:
            self._feed.ignore(hear)

    async def run(self, fence: int) -> None:
        """Build what waits, and what was left half done, until cancelled or fenced."""
        await self._duty.run(fence)

    async def tidy(self, fence: int) -> None:
        """Have old images removed when the disk is nearly full, until cancelled."""
        await self._duty.tidy(fence)

    async def census(self) -> tuple[int, int]:
        """Count the builds that run, and those that wait."""
        return await self._store.census()

    def _farewell(self, build: Build) -> Sequence[str]:
        # Whoever knows the public addresses may come later than this.
        return self.farewell(build)

    async def _resolve(self, source: Source) -> str:
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT.total_seconds()):
                return await self._sources.resolve(source)
        except TimeoutError as error:
            raise SourceUnavailable("The repository gave no answer in time.") from error

    async def _there(self, source: Source, image: str) -> str:
        """Give the image that the template runs, if it is what would be built; else nothing."""
        known = self._catalogue.templates.get(source.name)
        if known is None or self._catalogue.declares(source.name):
            return ""
        if not is_made_of(known.image, image) or not await self._engine.exists(known.image):
            return ""
        return known.image

    def _first_lines(self, request: Request) -> list[str]:
        what = f"{request.source.display_name} at {request.commit[:12]}"
        if not request.there:
            return [entry_of(f"Waiting for its turn: {what}", Progress())]
        told = f"The image of {what} is there, and is used again: {request.there}"
        lines = (told, *self.farewell(request.as_completed()))
        return [entry_of(line, Progress(Stage.FINISHED)) for line in lines]


def _gap(entry: LogEntry, left_out: int) -> LogEntry:
    """Say how much is missing before a line; who goes on after this sees that line next."""
    before = id_of(number_of(entry.id) - 1)
    return replace(entry, id=before, text=f"… {left_out} lines left out …")
