"""Decide how many environments to start and which spares to end.

Pure. The one rule: what is wanted is told by the counts of one instant, so a
plan can be made again at any time, by anybody, and never drifts. Who carries
it out is :mod:`spawner.refill`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spawner.lifecycle import COMING
from spawner.model import Environment, Phase, Pool, PoolStatus, Template


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do about one pool now."""

    start: int
    #: When to plan again though nothing happens.
    again_after: timedelta | None = None


def plan(pool: Pool, status: PoolStatus) -> Plan:
    """Say how many environments to start.

    - Wanted: the target of spares, and one more for each launch that waits.
    - Room: up to ``size``, counting all that takes a place.
    - After a failure: one try at a time, and none before it is due.
    """
    wanted = pool.target + status.waiting
    coming = sum(status.counts.get(phase, 0) for phase in COMING)
    start = max(0, min(wanted - coming - status.spares, pool.size - status.present))
    if status.trouble is None:
        return Plan(start)
    wait = status.trouble.retry_after
    if wait > timedelta(0):
        return Plan(0, again_after=wait)
    return Plan(min(start, 1) if coming == 0 else 0)


def outlived(
    pool: Pool,
    template: Template,
    spares: Sequence[Environment],
    status: PoolStatus,
    *,
    mount: str,
    now: datetime,
) -> list[tuple[Environment, str]]:
    """Say which spares to end, and why.

    Those of an older recipe or under another mount, those too old, and then,
    of what is left, the oldest of more than are wanted, or than have room in a pool
    that was made smaller.
    """
    verdicts = []
    kept = []
    for spare in sorted(spares, key=lambda spare: spare.phase_at):
        if spare.digest != template.digest:
            verdicts.append((spare, "template changed"))
        elif not spare.is_under(mount):
            verdicts.append((spare, "base_url changed"))
        elif now - spare.phase_at > pool.max_spare_age:
            verdicts.append((spare, "old spare"))
        else:
            kept.append(spare)
    wanted = pool.target + status.waiting
    taken = sum(status.counts.get(phase, 0) for phase in (Phase.ASSIGNED, *COMING))
    surplus = max(0, len(kept) - max(0, min(wanted, pool.size - taken)))
    return verdicts + [(spare, "surplus") for spare in kept[:surplus]]
