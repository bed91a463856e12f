"""Keep builds: who waits and in which turn, who runs, and what came of them.

Every change is one step. What the one that holds the lease writes carries its fence, so
that one who was overtaken can neither end a build nor write into its log.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from spawner.builder.model import Build, Outcome, Source, Stage
from spawner.errors import AlreadyBuilding, QueueFull
from spawner.store.connection import Connection
from spawner.store.feed import Feed
from spawner.store.records import from_ms

#: Gives the id of each build that changed; None when some may have been missed.
BuildFeed = Feed[str | None]


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much of a log is kept, and how long."""

    #: Bytes from its head, and as many from its tail.
    half: int
    ttl: timedelta

    @property
    def ttl_ms(self) -> int:
        """Give the time as the store takes it."""
        return round(self.ttl / timedelta(milliseconds=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be built, with its commit."""

    source: Source
    repository: str
    commit: str
    dependencies: Sequence[str]
    #: Tells apart what would give another image.
    inputs: str
    image: str
    is_forced: bool
    caller: str
    #: Where whoever asks has found this service.
    service_url: str = ""
    #: The image that is there already and is used again; empty where it is to be built.
    there: str = ""

    def as_completed(self) -> Build:
        """Give what the build is once it is recorded that the image is there already."""
        now = datetime.now(UTC)
        return Build(
            id="",
            name=self.source.name,
            repository=self.repository,
            source=self.source,
            commit=self.commit,
            dependencies=tuple(self.dependencies),
            outcome=Outcome.COMPLETED,
            stage=Stage.FINISHED,
            step=0,
            steps=0,
            caller=self.caller,
            image=self.there,
            started_at=now,
            ended_at=now,
            service_url=self.service_url,
        )


@dataclass(frozen=True, slots=True)
class Taken:
    """A build that is to be run."""

    build: Build
    #: How often it was taken, with this time.
    tries: int
    #: Number of the last line in its log.
    last_line: int


class BuildStore:
    """Every step that changes what is known of builds, and every question about it.

    Every method raises :class:`~spawner.errors.StoreUnavailable` when no answer came;
    those that take a ``fence`` raise :class:`~spawner.store.connection.Fenced` when it has
    been overtaken.
    """

    def __init__(self, connection: Connection, limits: LogLimits) -> None:
        self._connection = connection
        self._run = connection.run
        self._limits = limits

    def feed(self) -> BuildFeed:
        """Make a feed of the changes."""
        return Feed(self._connection, f"{self._connection.keys.builds}:changed", lambda one: one)

    async def start(self, request: Request, *, most: int, lines: Iterable[str]) -> Build:
        """Record a build that waits, or join the one that does the same.

        ``most`` is how many may be unfinished; ``lines`` are entries with which its log
        begins.

        Raises:
            AlreadyBuilding, QueueFull
        """
        half = self._limits.half
        outcome, record = await self._run(
            "build_start",
            *(request.source.name, request.inputs, int(request.is_forced), request.caller, most),
            *(request.there, request.image, self._limits.ttl_ms, half, half),
            *(request.repository, json.dumps(asdict(request.source)), request.commit),
            json.dumps(list(request.dependencies)),
            request.service_url,
            *(part for line in lines for part in ("", line)),
        )
        if outcome == "busy":
            raise AlreadyBuilding
        if outcome == "full":
            raise QueueFull
        return _build(_pairs(record))

    async def find(self, name: str) -> Build | None:
        """Give the latest build of a name."""
        async with self._connection.answers():
            client, keys = self._connection.client, self._connection.keys
            build_id = await client.hget(f"{keys.builds}:latest", name)
            return read_build(await client.hgetall(keys.build(build_id)) if build_id else {})

    async def read(self, build_id: str) -> Build | None:
        """Give one build."""
        async with self._connection.answers():
            key = self._connection.keys.build(build_id)
            return read_build(await self._connection.client.hgetall(key))

    async def all(self) -> list[Build]:
        """Give the latest build of each name, the newest first."""
        builds = [_build(_pairs(record)) for record in await self._run("build_all")]
        return sorted(builds, key=lambda build: int(build.id), reverse=True)

    async def cancel(self, name: str, line: str) -> bool:
        """End a build that waits, and mark one that runs; ``line`` is the log's last entry."""
        half, ttl_ms = self._limits.half, self._limits.ttl_ms
        return bool(await self._run("build_cancel", name, ttl_ms, half, half, "", line))

    async def remove(self, name: str) -> bool:
        """Forget the latest build of a name; False if there is none that has ended."""
        return bool(await self._run("build_remove", name))

    async def take(
        self, fence: int, *, at_once: int, mine: Sequence[str]
    ) -> tuple[list[Taken], set[str]]:
        """Take what is to be built now, and say which of ``mine`` are to end."""
        records, unwanted = await self._run("build_take", fence, at_once, *mine)
        return [_taken(_pairs(record)) for record in records], set(unwanted)

    async def finish(
        self, build_id: str, outcome: Outcome, error: str = "", *, fence: int
    ) -> Build | None:
        """End a build that was taken; None if it had ended, or was forgotten."""
        ttl_ms = self._limits.ttl_ms
        record = await self._run("build_finish", build_id, fence, outcome, error, ttl_ms)
        return read_build(_pairs(record))

    async def made(self, name: str, value: str, *, fence: int) -> list[str]:
        """Note what a template is about to be given; give what it was before, newest first."""
        return [str(one) for one in await self._run("build_made", name, fence, value)]

    async def census(self) -> tuple[int, int]:
        """Count the builds that run, and those that wait."""
        running, waiting = await self._run("build_census")
        return int(running), int(waiting)


def read_build(fields: dict[str, str]) -> Build | None:
    """Read a record; None for one that is not there."""
    return _build(fields) if "outcome" in fields else None


def _build(fields: dict[str, str]) -> Build:
    return Build(
        id=fields["id"],
        name=fields["name"],
        repository=fields["repository"],
        source=Source(**json.loads(fields["source"])),
        commit=fields["commit"],
        dependencies=tuple(json.loads(fields["dependencies"])),
        outcome=Outcome(fields["outcome"]),
        stage=Stage(fields["stage"]),
        step=int(fields["step"]),
        steps=int(fields["steps"]),
        caller=fields["caller"],
        image=fields["image"],
        started_at=from_ms(fields["started_at"]),
        ended_at=from_ms(fields["ended_at"]) if "ended_at" in fields else None,
        error=fields.get("error", ""),
        service_url=fields.get("service_url", ""),
    )


def _taken(fields: dict[str, str]) -> Taken:
    # It starts over from what was asked for.
    build = replace(_build(fields), dependencies=tuple(json.loads(fields["asked"])))
    return Taken(build, int(fields["tries"]), int(fields.get("last", 0)))


def _pairs(record: list[Any]) -> dict[str, str]:
    return dict(zip(record[::2], record[1::2], strict=True))
