"""The nouns of tmpenv: template, service, pool, environment.

Pure values, frozen. Who changes an environment's phase is
:mod:`spawner.store`; which changes are allowed is :mod:`spawner.lifecycle`.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from spawner.egress import parse
from spawner.units import Cpus, Duration, Limit, Size

TemplateName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
#: What decides how an environment is run: a change of one of these replaces its spares.
_RECIPE = frozenset(
    "image command port env memory cpus pids disk user allow_root egress mounts auth"
    " ready_path services".split()
)


class Phase(StrEnum):
    """Where an environment is in its life (design §4)."""

    CREATING = "creating"
    STARTING = "starting"
    READY = "ready"
    ASSIGNED = "assigned"
    DRAINING = "draining"
    STOPPED = "stopped"
    FAILED = "failed"


class Auth(StrEnum):
    """What lets a visitor into an environment, beside its address (design §6)."""

    PROXY = "proxy"  # nothing: the proxy presents the environment's token for everybody
    COOKIE = "cookie"  # having been given it; the proxy presents the token for that browser
    URL = "url"  # its token, which the environment itself asks for
    NONE = "none"  # nothing, and there is no token


def _egress(value: object) -> object:
    if isinstance(value, str):
        if value not in ("open", "none"):
            raise ValueError(
                f'"{value}" is neither "open" nor "none"; write a list to allow some hosts: '
                '["pypi.example.org", "*.example.org:8443"]'
            )
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError('write "open", "none", or a list of hosts')
    if not value:
        raise ValueError('the list is empty; write "none" to allow no host')
    for one in value:
        parse(one)
    return tuple(one.strip().lower() for one in value)


#: Everything, nothing, or the hosts that are listed (:mod:`spawner.egress`).
Egress = Annotated[Literal["open", "none"] | tuple[str, ...], BeforeValidator(_egress)]


#: What a person or a program writes as a value: TOML and JSON have numbers and truths, too.
ParamValue = Annotated[
    str,
    BeforeValidator(
        lambda value: str(value).lower() if isinstance(value, bool | int | float) else value
    ),
    # It goes into commands and addresses that an operator wrote: no quotes, blanks, or flags.
    StringConstraints(pattern=r"^([A-Za-z0-9_./][A-Za-z0-9_.,:/@%+=-]*)?$", max_length=256),
]
ParamName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")]
#: Also the name of a host, by which an environment finds it.
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class ServiceWanted(BaseModel):
    """A companion that a template asks for: one of the configuration's services."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ServiceName
    version: str = Field("", max_length=64, description="The service's first where empty")
    params: dict[ParamName, ParamValue] = Field({}, description="In place of its defaults")


class Template(BaseModel):
    """A named recipe for environments.

    ``command`` may hold ``{base_path}``, ``{port}``, ``{ip}``, ``{token}`` and
    ``{id}``; other braces stay as they are. A string is run by ``/bin/sh -c``,
    a list as it is, nothing means the image's own command. The same values are
    there as the environment variables ``TMPENV_BASE_PATH``, ``TMPENV_PORT``,
    ``TMPENV_TOKEN`` and ``TMPENV_ID``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: TemplateName
    title: str = Field("", description="What visitors read; the name where empty")
    description: str = Field("", description="One sentence for visitors")
    public: bool = Field(default=True, description="Shown on the front page")
    image: str = Field("", description="Container image; the process backend needs none")
    command: str | tuple[str, ...] | None = Field(None, description="What to run")
    port: int = Field(8888, ge=1, le=65535, description="Port inside the container")
    env: dict[EnvironmentName, str] = Field({}, description="Environment variables")
    urlpath: str = Field("lab", description="Where a visitor lands, below /user/<id>/")
    ready_path: str = Field("api", description="Probed, below /user/<id>/, until it answers")
    start_timeout: Duration = Field(timedelta(minutes=2), description="From creation to ready")
    stop_grace: Duration = Field(timedelta(seconds=5), description="Between TERM and KILL")
    memory: Size = Field(1 << 30, ge=6 << 20, description="Limit of memory and swap together")
    cpus: Cpus = Field(1.0, gt=0, description="Limit of processors")
    pids: int = Field(512, ge=1, description="Limit of processes and threads")
    # Ample for a course and its data, and small beside the disk of a machine for fifty visitors.
    disk: Size = Field(
        10 << 30,
        ge=1 << 20,
        description="Limit of what it writes to disk; who exceeds it is ended (docs/security.md)",
    )
    user: str = Field("", description="uid[:gid] to run as; the image's user where empty")
    allow_root: bool = Field(default=False, description="Let the image run as root")
    egress: Egress = Field(
        "open",
        description='What it reaches: everything, nothing, or the listed hosts: ["example.org", '
        '"*.example.org", "example.org:8443", "10.0.0.0/8:5432"] (docs/egress.md)',
    )
    mounts: tuple[str, ...] = Field((), description="Host mounts: /host:/inside[:ro|rw]")
    services: tuple[ServiceWanted, ...] = Field(
        (),
        max_length=8,
        description="Companions that each environment has for itself: "
        '[{ name = "postgres", version = "15", params = { database = "course" } }] '
        "(docs/services.md)",
    )
    auth: Auth = Field(
        Auth.PROXY,
        description="Whom its address lets in: everybody (proxy), the browser that was given it "
        "(cookie), who has its token (url); none: as proxy, without a token",
    )
    idle_timeout: Limit | None = Field(
        None, description='Culled after so long unused, or "never"; as [culling] says where unset'
    )
    max_age: Limit | None = Field(
        None, description='Culled so long after hand-out, or "never"; as [culling] says where unset'
    )
    max_per_caller: int | None = Field(
        None, ge=1, description="The most that one caller ([limits]) has of it at once"
    )
    cull_busy: bool = Field(default=False, description="Cull idle ones whose kernels work")

    @model_validator(mode="after")
    def _paths_stay_inside(self) -> Self:
        for path in (self.urlpath, self.ready_path):
            if path.startswith("/") or ".." in path.split("?")[0].split("/"):
                raise ValueError(f'"{path}" must be relative to /user/<id>/ and stay below it')
        return self

    @model_validator(mode="after")
    def _services_are_apart(self) -> Self:
        names = [one.name for one in self.services]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'the service "{name}" is there twice')
        return self

    @property
    def digest(self) -> str:
        """Name the recipe: equal for two templates that run the same thing."""
        recipe = self.model_dump(mode="json", include=set(_RECIPE))
        return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


class Pool(BaseModel):
    """How many environments of a template there may be, and how many are kept warm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(10, ge=0, description="The most there are, in use and spare together")
    spare: int | None = Field(None, ge=0, description="Kept warm; as many as size where unset")
    max_spare_age: Duration = Field(timedelta(hours=24), description="Older spares are replaced")

    @property
    def target(self) -> int:
        """Say how many spares to keep when nobody waits."""
        return self.size if self.spare is None else min(self.spare, self.size)


@dataclass(frozen=True, slots=True)
class Address:
    """Where an environment listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One running server and what is known of it, as the store recorded it.

    ``version`` grows by one with each change; times are the store's clock.
    """

    id: str
    #: The path prefix under which it was started and answers, with both slashes.
    base_path: str
    template: str
    digest: str
    auth: Auth
    phase: Phase
    version: int
    created_at: datetime
    #: When the present phase was entered.
    phase_at: datetime
    #: Fencing token of the lease under which it was started.
    fence: int
    address: Address | None = None
    assigned_at: datetime | None = None
    #: When each clock last ticked (contract proxy §7): http, ws_in, ws_out, control.
    activity: dict[str, datetime] = field(default_factory=dict)
    #: Culled after so long unused, as its launch asked for; None where it did not.
    idle_timeout: timedelta | None = None
    #: The lasting launch that it was handed out for; empty for any other.
    ticket: str = ""
    #: Why it failed or ends; empty while it lives.
    reason: str = ""
    #: What an operator should know besides ("could not be stopped: …").
    detail: str = ""

    def is_under(self, mount: str) -> bool:
        """Say whether a service that is found under ``mount`` can lead anybody there."""
        return self.base_path == base_path(self.id, mount)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a launch asks for beside its template."""

    #: To be culled after so long unused, if that is sooner than its template says.
    idle_timeout: timedelta | None = None
    #: To go on for ten minutes though nobody asks, and to be told of for a day after its end.
    is_lasting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """One launch as its visitor sees it: a place in the queue, then an environment."""

    id: str
    template: str
    #: Its place among those who wait for this template, from 1; 0 once it has an environment.
    place: int
    environment: Environment | None
    #: Whether this very step handed it out; nobody has heard of it yet.
    is_new: bool = False
    #: Why a lasting one was given up; empty while it was not.
    given_up: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why environments of a template do not come up at the moment."""

    #: Failed starts since the last that succeeded.
    failures: int
    reason: str
    #: Until the next try.
    retry_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus:
    """A pool at one instant, counted in one atomic step."""

    template: str
    counts: dict[Phase, int]
    #: Launches that wait for an environment.
    waiting: int
    trouble: Trouble | None = None
    #: What is being prepared for it ("pulling jupyter: 34 %"); empty for nothing.
    progress: str = ""

    @property
    def spares(self) -> int:
        """Count the environments that nobody has yet."""
        return self.counts.get(Phase.READY, 0)

    @property
    def present(self) -> int:
        """Count all that take a place."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainStatus:
    """Whether nothing is handed out any more, and how much is left."""

    is_on: bool
    since: datetime | None
    #: Number of the last drain that ended; 0 if none ever did.
    last_ended: int
    #: All that take a place.
    environments: int
    #: Launches that wait for an environment.
    waiting: int


def base_path(environment_id: str, mount: str = "/") -> str:
    """Give the path prefix of an environment, with both slashes.

    ``mount`` is the path under which the whole service is found, with both too.
    """
    return f"{mount}user/{environment_id}/"
