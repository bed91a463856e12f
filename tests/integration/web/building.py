"""Builds without git and Docker, whose course a test decides."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from spawner.builder.model import Build, LogEntry, Outcome, Source, Stage
from spawner.errors import BadSource, ServiceError

REPOSITORY = "https://git.example.org/Org/Repo"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class MemoryBuilds:
    """Keeps builds and their logs; nothing is built until a test says so."""

    def __init__(self) -> None:
        self.builds: dict[str, Build] = {}
        self.asked: list[dict[str, object]] = []
        self.failure: ServiceError | None = None
        self._logs: dict[str, list[LogEntry]] = {}
        self._numbers = itertools.count(1)
        self._changed = asyncio.Condition()
        self.followed = 0

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
        if self.failure is not None:
            raise self.failure
        source = self._read(repository, ref)
        self.asked.append({"repository": repository, "ref": ref, "force": force, "caller": caller})
        running = self.builds.get(source.name)
        if running is not None and running.outcome is Outcome.RUNNING:
            return running
        number = next(self._numbers)
        build = Build(
            id=str(number),
            name=source.name,
            repository=repository,
            source=source,
            commit=COMMIT,
            dependencies=tuple(dependencies),
            outcome=Outcome.RUNNING,
            stage=Stage.QUEUED,
            step=0,
            steps=0,
            caller=caller,
            image="",
            started_at=datetime.fromtimestamp(1_800_000_000 + number, UTC),
            ended_at=None,
            service_url=service_url,
        )
        self.builds[build.name] = build
        self._logs[build.id] = []
        return build

    @staticmethod
    def _read(repository: str, ref: str) -> Source:
        if not repository.startswith("https://git.example.org/"):
            raise BadSource("Repositories of that host cannot be built here.")
        path = repository.removeprefix("https://git.example.org/").removesuffix(".git").rstrip("/")
        display = path + (f"/tree/{ref}" if ref else "")
        return Source(
            provider="git",
            url=repository,
            ref=ref,
            display_name=display,
            name="".join(c if c.isascii() and c.isalnum() else "-" for c in display.lower())[:60],
        )

    async def find(self, name: str) -> Build | None:
        return self.builds.get(name)

    async def of_repository(self, repository: str, ref: str = "") -> Build | None:
        return self.builds.get(self._read(repository, ref).name)

    async def all(self) -> list[Build]:
        return sorted(self.builds.values(), key=lambda one: one.started_at, reverse=True)

    async def cancel(self, name: str) -> bool:
        if self.builds[name].outcome is not Outcome.RUNNING:
            return False
        await self.end(name, Outcome.CANCELLED)
        return True

    async def remove(self, name: str) -> bool:
        return self.builds.pop(name, None) is not None

    async def log(
        self, build: Build, *, after: str = "", follow: bool = False
    ) -> AsyncGenerator[LogEntry]:
        self.followed += 1
        try:
            at = sum(_order(one.id) <= _order(after) for one in self._logs[build.id])
            while True:
                for entry in self._logs[build.id][at:]:
                    yield entry
                    at += 1
                if not follow or self.builds[build.name].outcome is not Outcome.RUNNING:
                    return
                async with self._changed:
                    await self._changed.wait()
        finally:
            self.followed -= 1

    async def say(self, name: str, *lines: str) -> None:
        """Print lines into the log of a build."""
        log = self._logs[self.builds[name].id]
        for line in lines:
            log.append(
                LogEntry(
                    id=f"{len(log) + 1}-0",
                    at=datetime.now(UTC),
                    text=line,
                    stage=Stage.BUILDING,
                    step=1,
                    steps=3,
                )
            )
        await self._tell()

    async def end(self, name: str, outcome: Outcome = Outcome.COMPLETED, error: str = "") -> None:
        """Let a build end."""
        self.builds[name] = replace(
            self.builds[name],
            outcome=outcome,
            stage=Stage.FINISHED,
            error=error,
            image=f"tmpenv/{name}:{COMMIT}",
            ended_at=datetime.now(UTC),
        )
        await self._tell()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _order(entry: str) -> tuple[int, ...]:
    return tuple(int(part) for part in entry.split("-") if part)
