"""What the interfaces of operators and of tmpnb answer, for their documentation.

Those handlers make their answers of plain dictionaries; here is what stands in them, so
that the type checker and the tests by the document hold them to it.
"""

from typing import Any

# pydantic reads no other before Python 3.12.
from typing_extensions import TypedDict


class EnvironmentAnswer(TypedDict):
    """An environment."""

    id: str
    template: str
    phase: str
    reason: str
    detail: str
    url: str
    base_url: str
    created_at: str | None
    phase_at: str | None
    assigned_at: str | None
    last_used_at: str | None
    expires_at: str | None


class EnvironmentsAnswer(TypedDict):
    """All environments that take a place."""

    environments: list[EnvironmentAnswer]


class StoppedAnswer(TypedDict):
    """Whether the end has begun by this."""

    id: str
    stopped: bool


class TroubleAnswer(TypedDict):
    """Why environments of a pool do not come up."""

    failures: int
    reason: str
    retry_after_s: float


class PoolAnswer(TypedDict):
    """A pool."""

    template: str
    title: str
    size: int
    spare: int
    waiting: int
    progress: str
    phases: dict[str, int]
    trouble: TroubleAnswer | None


class DrainAnswer(TypedDict):
    """Whether the instance is drained, and how much is left."""

    draining: bool
    since: str | None
    environments: int
    waiting: int


class BackendAnswer(TypedDict):
    """What runs environments."""

    name: str
    warning: str


class StatusAnswer(TypedDict):
    """Everything at one glance."""

    version: str
    instance: str
    now: str | None
    backend: BackendAnswer
    drain: DrainAnswer
    pools: list[PoolAnswer]
    environments: list[EnvironmentAnswer]


class RecipeAnswer(TypedDict):
    """A template and its pool, but for what is as it is by default."""

    name: str
    declared: bool
    version: int
    template: dict[str, Any]
    pool: dict[str, Any]


class RecipesAnswer(TypedDict):
    """All templates."""

    recipes: list[RecipeAnswer]


class RemovedAnswer(TypedDict):
    """A template that is no longer offered."""

    name: str
    removed: bool


class FindingAnswer(TypedDict):
    """Whether an environment would be culled."""

    id: str
    template: str
    goes: bool
    ended: bool
    reason: str
    kept_by: str
    last_used_at: str | None
    idle_s: float
    due_at: str | None
    due_in_s: float | None


class SurveyAnswer(TypedDict):
    """What the culler finds."""

    environments: list[FindingAnswer]


class AliveAnswer(TypedDict):
    """The process answers."""

    status: str


class SpawnedAnswer(TypedDict):
    """An environment as its visitor is given it."""

    url: str
    id: str
    template: str
    base_url: str
    ws_url: str
    token: str
    expires_at: str | None


class CountsAnswer(TypedDict):
    """How many environments of a template are ready."""

    available: int
    capacity: int
    container_image: str
    waiting: int


class StatsAnswer(TypedDict):
    """The counts of the default template as tmpnb gave them, and of each by name."""

    available: int
    capacity: int
    version: str
    container_image: str
    templates: dict[str, CountsAnswer]


class DrainedAnswer(TypedDict):
    """How many spares were ended."""

    drained: int
