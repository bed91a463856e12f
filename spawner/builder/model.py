"""The nouns of builds: source, build, plan. Pure values, frozen."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

#: Told a line of a build's log, without its end; called from the event loop.
Tell = Callable[[str], None]


class Stage(StrEnum):
    """How far a build is; the Binder API calls it its phase."""

    QUEUED = "queued"
    FETCHING = "fetching"
    BUILDING = "building"
    PUSHING = "pushing"
    REGISTERING = "registering"
    FINISHED = "finished"


class Outcome(StrEnum):
    """What came of a build; the Binder API calls it its status."""

    RUNNING = "running"  # also while it waits its turn
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A repository, and what of it is wanted, as its provider reads it."""

    #: The provider's word for itself: "github", "gitlab", "git", "gist".
    provider: str
    #: What git is given; never with credentials.
    url: str
    #: Branch, tag or commit; empty for the repository's default.
    ref: str
    #: What people call it: "Org/Repo", "Org/Repo/tree/branch".
    display_name: str
    #: Names its image and its template; no two sources share one. Lower case, as TemplateName.
    name: str
    #: Where a person looks at it; empty where there is no such page.
    page: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How an image is made from a directory that was fetched."""

    #: What the engine is sent.
    context: Path
    dockerfile: Path
    #: The files that decide what is installed, in the order in which they are used.
    dependencies: tuple[str, ...]
    #: For ``RUN --mount=type=secret``: name → file. Nothing of them is in the image.
    secrets: Mapping[str, Path] = field(default_factory=dict)
    #: Build arguments.
    arguments: Mapping[str, str] = field(default_factory=dict)
    #: What environments of it run; None for the image's own.
    command: str | tuple[str, ...] | None = None
    urlpath: str = "lab"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One making of an image, as the store recorded it. Times are the store's clock."""

    #: Grows with each build of the instance; names its log.
    id: str
    #: Of its image and template (:attr:`Source.name`).
    name: str
    repository: str
    source: Source
    #: Full id of the commit, resolved before the build began.
    commit: str
    #: What was asked for, none if that was left to the priority; then what was used.
    dependencies: tuple[str, ...]
    outcome: Outcome
    stage: Stage
    #: Step n of m within the stage; 0 of 0 where unknown.
    step: int
    steps: int
    #: Whose turn it is when many wait (``Tokens.caller``, or a key's name).
    caller: str
    #: The image's full reference once it is known.
    image: str
    started_at: datetime
    ended_at: datetime | None
    #: Why it failed, for people.
    error: str = ""
    #: Where whoever asked for it has found this service; empty where that is not known.
    service_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A line of a build's log, masked and made fit to be shown."""

    #: Grows with each line; a reader goes on after it.
    id: str
    at: datetime
    text: str
    stage: Stage
    step: int = 0
    steps: int = 0
