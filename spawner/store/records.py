"""Turn what Redis holds into values and back.

Pure. Times are stored as milliseconds of Redis' clock.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spawner.model import Address, Auth, DrainStatus, Environment, Phase, PoolStatus, Trouble

CLOCKS = ("http", "ws_in", "ws_out", "control")
#: In the order in which ``census.lua`` counts.
COUNTED = (
    Phase.CREATING,
    Phase.STARTING,
    Phase.READY,
    Phase.ASSIGNED,
    Phase.DRAINING,
    Phase.FAILED,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One change, as everybody hears of it.

    Without an id it says that a pool's queue or trouble changed; without a
    template, that events may have been missed.
    """

    environment_id: str = ""
    template: str = ""
    phase: Phase | None = None
    version: int = 0
    address: Address | None = None
    auth: Auth = Auth.PROXY
    reason: str = ""
    ticket: str = ""


def read_event(payload: str | None) -> Event:
    """Read what ``publish`` in the prelude wrote; None stands for what may have been missed."""
    if payload is None:
        return Event()
    facts = json.loads(payload)
    if not facts["id"]:
        return Event(template=facts["template"])
    return Event(
        environment_id=facts["id"],
        template=facts["template"],
        phase=Phase(facts["phase"]),
        version=facts["version"],
        address=Address(facts["host"], facts["port"]) if facts["host"] else None,
        auth=Auth(facts["auth"]),
        reason=facts["reason"],
        ticket=facts["ticket"],
    )


def read_environment(fields: Mapping[str, str]) -> Environment | None:
    """Read a record; None for one that is not there."""
    if "phase" not in fields:
        return None
    return Environment(
        id=fields["id"],
        base_path=fields["base_path"],
        template=fields["template"],
        digest=fields["digest"],
        auth=Auth(fields["auth"]),
        phase=Phase(fields["phase"]),
        version=int(fields["version"]),
        created_at=from_ms(fields["created_at"]),
        phase_at=from_ms(fields["phase_at"]),
        fence=int(fields["fence"] or 0),
        address=Address(fields["host"], int(fields["port"])) if fields.get("host") else None,
        assigned_at=from_ms(fields["assigned_at"]) if "assigned_at" in fields else None,
        idle_timeout=timedelta(milliseconds=int(fields["idle"])) if "idle" in fields else None,
        ticket=fields.get("ticket", ""),
        reason=fields.get("reason", ""),
        detail=fields.get("detail", ""),
        activity={name: from_ms(fields[name]) for name in CLOCKS if name in fields},
    )


def read_census(template: str, row: list[object]) -> PoolStatus:
    """Read one row of ``census.lua``."""
    counts, waiting, failures, reason, retry_ms, progress = row
    assert isinstance(counts, list)
    trouble = None
    if int(str(failures)):
        trouble = Trouble(
            failures=int(str(failures)),
            reason=str(reason),
            retry_after=timedelta(milliseconds=int(str(retry_ms))),
        )
    return PoolStatus(
        template=template,
        counts=dict(zip(COUNTED, map(int, counts), strict=True)),
        waiting=int(str(waiting)),
        trouble=trouble,
        progress=str(progress),
    )


def read_drain(row: list[object]) -> DrainStatus:
    """Read what ``drained.lua`` answers."""
    state, at, last_ended, environments, waiting = row
    is_on = state != "off"
    return DrainStatus(
        is_on=is_on,
        since=from_ms(str(at)) if is_on else None,
        last_ended=int(str(last_ended)),
        environments=int(str(environments)),
        waiting=int(str(waiting)),
    )


def from_ms(ms: str | int) -> datetime:
    """Read a time as the store keeps it."""
    return datetime.fromtimestamp(float(ms) / 1000, UTC)


def read_time(seconds: int, micros: int) -> datetime:
    """Read what ``TIME`` answers."""
    return datetime.fromtimestamp(seconds + micros / 1_000_000, UTC)


def to_ms(instant: datetime) -> str:
    """Write a time as the store keeps it."""
    return str(round(instant.timestamp() * 1000))
