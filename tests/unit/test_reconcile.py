"""What does not agree between the store and the backend."""

from datetime import UTC, datetime, timedelta

import pytest

from spawner.backends.base import Observed
from spawner.model import Address, Auth, Environment, Phase, Template, base_path
from spawner.reconcile import Findings, compare

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEMPLATES = {"t": Template(name="t", start_timeout=timedelta(minutes=1))}
FENCE = 7


def record(name: str, phase: Phase, *, fence: int = FENCE, age_s: int = 0) -> Environment:
    return Environment(
        id=name,
        base_path=base_path(name),
        template="t",
        digest="d",
        auth=Auth.PROXY,
        phase=phase,
        version=1,
        created_at=NOW - timedelta(seconds=age_s),
        phase_at=NOW,
        fence=fence,
    )


def seen(name: str, *, is_running: bool = True) -> Observed:
    return Observed(
        id=name,
        base_path=base_path(name),
        template="t",
        digest="d",
        auth=Auth.PROXY,
        created_at=NOW,
        is_running=is_running,
        address=Address("127.0.0.1", 1),
    )


def findings(observed: list[Observed], records: list[Environment]) -> Findings:
    return compare(observed, records, TEMPLATES, fence=FENCE, now=NOW)


@pytest.mark.parametrize("phase", [Phase.READY, Phase.ASSIGNED])
def test_one_that_should_run_and_does_not_is_missing(phase: Phase) -> None:
    assert findings([], [record("a", phase)]).missing == ("a",)
    assert findings([seen("a", is_running=False)], [record("a", phase)]).missing == ("a",)
    assert findings([seen("a")], [record("a", phase)]) == Findings((), (), ())


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.FAILED])
def test_one_that_is_ending_is_left_to_its_end(phase: Phase) -> None:
    assert findings([], [record("a", phase)]) == Findings((), (), ())


@pytest.mark.parametrize("phase", [Phase.CREATING, Phase.STARTING])
def test_a_start_of_this_lease_is_left_alone_until_it_is_forgotten(phase: Phase) -> None:
    assert findings([], [record("a", phase, age_s=60)]) == Findings((), (), ())
    assert findings([], [record("a", phase, age_s=91)]).orphans == ("a",)


@pytest.mark.parametrize("phase", [Phase.CREATING, Phase.STARTING])
def test_a_start_of_another_lease_is_an_orphan(phase: Phase) -> None:
    assert findings([seen("a")], [record("a", phase, fence=6)]).orphans == ("a",)


def test_what_has_no_record_is_a_stray() -> None:
    assert findings([seen("a"), seen("b")], [record("a", Phase.READY)]).strays == (seen("b"),)
