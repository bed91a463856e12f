"""Decide which environments have outlived their use.

Pure: it takes an environment, a policy and one instant, and returns a
verdict, so that a rule is tested without a clock, a store or a container.
:mod:`culler.loop` supplies those, asks kernels, and does the rest.

The first rule that applies gives the reason:

- ``age``: so long after its hand-out, however busy;
- ``idle``: no clock that counts has ticked for so long.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from spawner.model import Environment, Template
from spawner.units import NEVER, Duration, Limit

Clock = Literal["http", "ws_in", "ws_out", "control"]
Reason = Literal["idle", "age"]


class CullingSettings(BaseModel):
    """What holds for templates that say nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    idle_timeout: Limit = Field(
        timedelta(hours=1), description='Ended after so long unused; "never"'
    )
    max_age: Limit = Field(timedelta(hours=8), description='Ended so long after hand-out; "never"')
    interval: Duration = Field(timedelta(seconds=10), description="Between two looks")
    disk_interval: Limit = Field(
        timedelta(minutes=1),
        description='Between two measurements of what environments have on disk; "never"',
    )
    activity_counts: tuple[Clock, ...] = Field(
        ("http", "ws_in"), description="The clocks that count as use"
    )


@dataclass(frozen=True, slots=True)
class Policy:
    """When environments of one template are ended. None means never."""

    idle_timeout: timedelta | None
    max_age: timedelta | None
    cull_busy: bool
    counts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why to end an environment."""

    reason: Reason
    #: The newest use that the verdict knows of: a later one sets it aside.
    unused_since: datetime | None
    #: Whether its kernels have a say.
    ask_kernels: bool


def policy_of(template: Template | None, defaults: CullingSettings) -> Policy:
    """Combine a template's own rules with the defaults."""
    idle_timeout, max_age, cull_busy = defaults.idle_timeout, defaults.max_age, False
    if template is not None:
        idle_timeout = idle_timeout if template.idle_timeout is None else template.idle_timeout
        max_age = max_age if template.max_age is None else template.max_age
        cull_busy = template.cull_busy
    return Policy(
        None if idle_timeout == NEVER else idle_timeout,
        None if max_age == NEVER else max_age,
        cull_busy,
        defaults.activity_counts,
    )


def policy_for(
    environment: Environment, template: Template | None, defaults: CullingSettings
) -> Policy:
    """Give the policy of one environment; its launch may have asked for less idle time."""
    policy = policy_of(template, defaults)
    wanted = [one for one in (environment.idle_timeout, policy.idle_timeout) if one is not None]
    return replace(policy, idle_timeout=min(wanted, default=None))


def last_use(environment: Environment, counts: Sequence[str]) -> datetime:
    """Say when it was last used; a fresh hand-out counts as a use."""
    assert environment.assigned_at is not None
    ticks = [environment.activity[name] for name in counts if name in environment.activity]
    return max([environment.assigned_at, *ticks])


def due_at(environment: Environment, policy: Policy) -> datetime | None:
    """Say when it will be ended at the earliest, if nobody uses it; None for never."""
    return min((moment for moment in _deadlines(environment, policy) if moment), default=None)


def _deadlines(environment: Environment, policy: Policy) -> tuple[datetime | None, datetime | None]:
    """Give the ends by age and by idleness; None for never."""
    assert environment.assigned_at is not None
    used = last_use(environment, policy.counts)
    return _after(environment.assigned_at, policy.max_age), _after(used, policy.idle_timeout)


def _after(moment: datetime, wait: timedelta | None) -> datetime | None:
    try:
        return None if wait is None else moment + wait
    except OverflowError:  # in more years than there are
        return None


def judge(environment: Environment, policy: Policy, now: datetime) -> Verdict | None:
    """Give the reason to end an environment that was handed out, or None."""
    by_age, by_idleness = _deadlines(environment, policy)
    if by_age is not None and now >= by_age:
        return Verdict("age", None, ask_kernels=False)
    if by_idleness is not None and now >= by_idleness:
        used = last_use(environment, policy.counts)
        return Verdict("idle", used, ask_kernels=not policy.cull_busy)
    return None


@dataclass(frozen=True, slots=True)
class Kept:
    """What keeps an idle environment."""

    #: In a few words, for operators.
    why: str
    #: Until when at least; None where that is not known.
    until: datetime | None = None


def due_when_kept(environment: Environment, policy: Policy, kept: Kept) -> datetime | None:
    """Say when an idle one that is kept will be ended at the earliest; None if nobody knows."""
    by_age, _ = _deadlines(environment, policy)
    return min((moment for moment in (by_age, kept.until) if moment), default=None)


#: It gave no answer: unknown is not idle.
UNKNOWN = Kept("its kernels do not answer")


def kept_by_kernels(
    kernels: Sequence[Mapping[str, object]], idle_timeout: timedelta, now: datetime
) -> Kept | None:
    """Say what keeps it, if a kernel works or has worked within the idle time.

    ``kernels`` is what Jupyter's ``GET /api/kernels`` answers. One whose
    times cannot be read is judged by its state alone.
    """
    busy = sum(kernel.get("execution_state") == "busy" for kernel in kernels)
    if busy:
        return Kept(f"{busy} of {len(kernels)} kernels busy", _after(now, idle_timeout))
    recent = [last for kernel in kernels if (last := _worked_at(kernel))]
    if recent and now - max(recent) < idle_timeout:
        return Kept("a kernel worked lately", _after(max(recent), idle_timeout))
    return None


def _worked_at(kernel: Mapping[str, object]) -> datetime | None:
    try:
        last = datetime.fromisoformat(str(kernel.get("last_activity")))
    except ValueError:
        return None
    return last if last.tzinfo is not None else None
