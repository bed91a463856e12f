"""What a pool plans, told by its counts."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spawner.model import Auth, Environment, Phase, Pool, PoolStatus, Template, Trouble, base_path
from spawner.pool import outlived, plan

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEMPLATE = Template(name="t")


def status(waiting: int = 0, trouble: Trouble | None = None, **counts: int) -> PoolStatus:
    return PoolStatus(
        template="t",
        counts={Phase(name): number for name, number in counts.items()},
        waiting=waiting,
        trouble=trouble,
    )


def spare(
    name: str,
    age: timedelta = timedelta(0),
    digest: str = TEMPLATE.digest,
    mount: str = "/",
) -> Environment:
    return Environment(
        id=name,
        base_path=base_path(name, mount),
        template="t",
        digest=digest,
        auth=Auth.PROXY,
        phase=Phase.READY,
        version=3,
        created_at=NOW - age,
        phase_at=NOW - age,
        fence=1,
    )


@pytest.mark.parametrize(
    ("pool", "now", "start"),
    [
        (Pool(size=5), status(), 5),
        (Pool(size=5, spare=2), status(), 2),
        (Pool(size=5, spare=2), status(ready=2), 0),
        (Pool(size=5, spare=2), status(starting=1, creating=1), 0),
        (Pool(size=5, spare=2), status(assigned=4), 1),
        (Pool(size=5, spare=2), status(assigned=4, draining=1), 0),
        (Pool(size=5, spare=2), status(assigned=4, failed=1), 0),
        (Pool(size=9, spare=2), status(waiting=3), 5),
        (Pool(size=9, spare=0), status(waiting=3, starting=1), 2),
        (Pool(size=0), status(), 0),
        (Pool(size=2), status(assigned=5), 0),
    ],
)
def test_what_is_wanted_and_has_room_is_started(pool: Pool, now: PoolStatus, start: int) -> None:
    assert plan(pool, now).start == start


def test_after_a_failure_one_try_is_made_when_it_is_due() -> None:
    waits = Trouble(failures=1, reason="r", retry_after=timedelta(seconds=3))
    due = Trouble(failures=1, reason="r", retry_after=timedelta(0))

    assert plan(Pool(size=5), status(trouble=waits)).start == 0
    assert plan(Pool(size=5), status(trouble=waits)).again_after == timedelta(seconds=3)
    assert plan(Pool(size=5), status(trouble=due)).start == 1
    assert plan(Pool(size=5), status(trouble=due, starting=1)).start == 0


@given(
    size=st.integers(0, 50),
    target=st.integers(0, 50) | st.none(),
    waiting=st.integers(0, 50),
    counts=st.fixed_dictionaries(
        {phase.value: st.integers(0, 30) for phase in Phase if phase is not Phase.STOPPED}
    ),
)
def test_a_plan_never_exceeds_the_size(
    size: int, target: int | None, waiting: int, counts: dict[str, int]
) -> None:
    now = status(waiting=waiting, **counts)

    wanted = plan(Pool(size=size, spare=target), now)

    assert wanted.start >= 0
    assert not wanted.start or now.present + wanted.start <= size


def test_old_changed_and_surplus_spares_are_ended() -> None:
    pool = Pool(size=9, spare=2, max_spare_age=timedelta(hours=1))
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    spares = [
        spare("new"),
        spare("older", 2 * minute),
        spare("oldest", 3 * minute),
        spare("ancient", 2 * hour),
        spare("changed", digest="other"),
        spare("elsewhere", mount="/lab1/"),
    ]

    verdicts = outlived(pool, TEMPLATE, spares, status(), mount="/", now=NOW)

    assert {one.id: reason for one, reason in verdicts} == {
        "ancient": "old spare",
        "changed": "template changed",
        "elsewhere": "base_url changed",
        "oldest": "surplus",
    }
    assert not outlived(pool, TEMPLATE, spares[:3], status(waiting=1), mount="/", now=NOW)


@pytest.mark.parametrize(
    ("size", "now", "left"),
    [
        (3, status(ready=2, assigned=1), 2),
        (2, status(ready=2, assigned=1), 1),
        (1, status(ready=2, assigned=1), 0),
        (0, status(ready=2, assigned=1), 0),
        (2, status(ready=2, starting=1), 1),
        # Those that end already make room for those that are kept.
        (2, status(ready=2, draining=2), 2),
    ],
)
def test_spares_of_a_pool_that_was_made_smaller_keep_within_its_size(
    size: int, now: PoolStatus, left: int
) -> None:
    spares = [spare("one"), spare("two", timedelta(minutes=1))]

    verdicts = outlived(Pool(size=size), TEMPLATE, spares, now, mount="/", now=NOW)

    assert len(spares) - len(verdicts) == left
    assert {reason for _, reason in verdicts} <= {"surplus"}
