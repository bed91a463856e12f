"""Keep what builds say, in a stream for each; readers may come late, and from anywhere.

Lines are numbered by who writes them, and a number is written once, so that a batch whose
answer was lost may be sent again. Of a log that is too long the middle goes: readers see
by the gap in the numbers how much.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from spawner.builder.model import Build, LogEntry, Outcome, Stage
from spawner.store.builds import LogLimits, read_build
from spawner.store.connection import Connection
from spawner.store.records import from_ms

#: Read at once; some megabytes at the most.
PAGE = 500
#: However many follow logs, they leave the rest of tmpenv its connections.
READERS = 8


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is."""

    stage: Stage = Stage.QUEUED
    step: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """Some lines of a log, and the build when they were read."""

    entries: list[LogEntry]
    #: None where it is not known any more.
    build: Build | None

    @property
    def has_ended(self) -> bool:
        """Say whether the build will say nothing more."""
        return self.build is None or self.build.outcome is not Outcome.RUNNING


class BuildLogs:
    """The logs of builds; raises as :class:`~spawner.store.builds.BuildStore` does."""

    def __init__(self, connection: Connection, limits: LogLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._reading = asyncio.Semaphore(READERS)

    async def note(
        self,
        build_id: str,
        progress: Progress,
        lines: Iterable[tuple[int, str]],
        *,
        used: Sequence[str] | None,
        fence: int,
    ) -> None:
        """Note how far a build is and what it said; one that has ended stays as it is.

        ``lines`` are numbers and entries (:func:`entry_of`).
        """
        half = self._limits.half
        await self._connection.run(
            "build_note",
            *(build_id, fence, half, half, progress.stage, progress.step, progress.steps),
            "" if used is None else json.dumps(list(used)),
            *(part for line in lines for part in line),
        )

    async def page(self, build_id: str, after: str) -> Page:
        """Read what comes after the line ``after``, or from the beginning."""
        keys = self._connection.keys
        since = f"({after}" if after else "-"
        async with (
            self._reading,
            self._connection.answers(),
            self._connection.client.pipeline(transaction=True) as pipe,
        ):
            pipe.hgetall(keys.build(build_id))
            pipe.xrange(keys.build_log(build_id), since, "+", PAGE)
            record, rows = await pipe.execute()
        return Page([_entry(line, fields) for line, fields in rows], read_build(record))


def entry_of(text: str, progress: Progress) -> str:
    """Write a line as it is kept."""
    return json.dumps([text, progress.stage, progress.step, progress.steps], ensure_ascii=False)


def number_of(line_id: str) -> int:
    """Give the number of a line; 0 before the first."""
    return int(line_id.partition("-")[0] or 0)


def id_of(number: int) -> str:
    """Give the id of a line."""
    return f"{number}-0"


def _entry(line_id: str, fields: dict[str, str]) -> LogEntry:
    text, stage, step, steps = json.loads(fields["e"])
    at = from_ms(fields["t"])
    return LogEntry(id=line_id, at=at, text=text, stage=Stage(stage), step=step, steps=steps)
