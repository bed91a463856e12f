"""One process that takes requests for builds and, with the lease, builds."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from spawner.builder.builds import Builds
from spawner.builder.model import Build, Outcome
from spawner.builder.settings import BuildSettings
from spawner.catalogue import Catalogue
from spawner.keeper import Keeper
from spawner.model import Pool, Template
from spawner.recorder import UNRECORDED, Recorder
from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.recipes import RecipeStore
from spawner.store.store import Store
from tests.integration.builds.fakes import HeldEngine, PlansRequirements, Repositories
from tests.waiting import eventually

REPOSITORY = "https://git.example.org/repo"


def settings(**values: object) -> BuildSettings:
    return BuildSettings.model_validate({"log_size": 1 << 20, **values})


class Site:
    """Runs while entered; leaves without a word, as after a crash, by :meth:`crash`."""

    def __init__(
        self,
        url: str,
        instance: str,
        scratch: Path,
        *,
        sources: Repositories | None = None,
        engine: Any = None,
        planner: Any = None,
        set_to: BuildSettings | None = None,
        declared: Sequence[Template] = (),
        pauses_s: Sequence[float] = (0.0, 0.0),
        recorder: Recorder = UNRECORDED,
        keeps: bool = True,
    ) -> None:
        self.sources = sources or Repositories()
        self.engine: Any = engine or HeldEngine()
        self.planner: Any = planner or PlansRequirements()
        self.scratch = scratch
        self.connection = Connection(url, Keys(instance))
        templates = {one.name: one for one in declared}
        self.catalogue = Catalogue(
            RecipeStore(self.connection), templates, dict.fromkeys(templates, Pool())
        )
        self.builds = Builds(
            self.connection,
            self.catalogue,
            sources=self.sources,
            planner=self.planner,
            engine=self.engine,
            settings=set_to or settings(),
            scratch=scratch,
            recorder=recorder,
            pauses_s=pauses_s,
        )
        self.holder = f"process {id(self)}"
        self.keeper = Keeper(
            Store(self.connection), self.holder, (self.builds.run, self.builds.tidy)
        )
        self._keeps = keeps

    async def __aenter__(self) -> Self:
        work: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self.builds.listen,
            self.catalogue.run,
        ]
        if self._keeps:
            work.append(self.keeper.run)
        self._tasks = [asyncio.create_task(one()) for one in work]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.crash()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self.connection.close()

    def crash(self) -> None:
        """End everything that runs here; what is recorded stays as it is."""
        for task in self._tasks:
            task.cancel()

    @property
    def has_ended(self) -> bool:
        return all(task.done() for task in self._tasks)

    async def start(self, repository: str = REPOSITORY, **how: Any) -> Build:
        return await self.builds.start(repository, **how)

    async def until_ended(self, build: Build, *, within: float = 15.0) -> Build:
        async def has_ended() -> Build | None:
            found = await self.builds.find(build.name)
            is_over = found and found.id == build.id and found.outcome is not Outcome.RUNNING
            return found if is_over else None

        found = await eventually(has_ended, within=within)
        assert found is not None
        return found

    async def built(
        self, repository: str = REPOSITORY, *, within: float = 15.0, **how: Any
    ) -> Build:
        return await self.until_ended(await self.start(repository, **how), within=within)

    async def log(self, build: Build, **how: Any) -> list[str]:
        async with asyncio.timeout(timedelta(seconds=15).total_seconds()):
            return [entry.text async for entry in self.builds.log(build, **how)]

    @asynccontextmanager
    async def tidying(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.builds.tidy(0))
        try:
            yield
        finally:
            task.cancel()

    async def until(self, check: Callable[[], object]) -> None:
        async def is_so() -> bool:
            return bool(check())

        await eventually(is_so)
