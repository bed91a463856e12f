"""Who has outlived their use."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from culler.policy import (
    UNKNOWN,
    CullingSettings,
    Policy,
    due_at,
    due_when_kept,
    judge,
    kept_by_kernels,
    policy_for,
    policy_of,
)
from spawner.model import Auth, Environment, Phase, Template
from spawner.units import NEVER

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
POLICY = Policy(60 * MINUTE, 480 * MINUTE, cull_busy=False, counts=("http", "ws_in"))


def handed_out(minutes_ago: float, **ticks: float) -> Environment:
    return Environment(
        id="a",
        base_path="/user/a/",
        template="t",
        digest="d",
        auth=Auth.PROXY,
        phase=Phase.ASSIGNED,
        version=1,
        created_at=NOW - timedelta(days=2),
        phase_at=NOW,
        fence=1,
        assigned_at=NOW - minutes_ago * MINUTE,
        activity={name: NOW - ago * MINUTE for name, ago in ticks.items()},
    )


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        (handed_out(5), None),
        (handed_out(59.9), None),
        (handed_out(60), "idle"),
        (handed_out(100, http=1), None),
        (handed_out(100, ws_in=1), None),
        (handed_out(100, ws_out=1, control=0), "idle"),
        (handed_out(100, http=61, ws_in=90), "idle"),
        (handed_out(480, http=0), "age"),
        (handed_out(479, http=0), None),
    ],
)
def test_the_first_rule_that_applies_gives_the_reason(
    environment: Environment, reason: str | None
) -> None:
    verdict = judge(environment, POLICY, NOW)

    assert (verdict.reason if verdict else None) == reason


def test_a_fresh_hand_out_of_an_old_spare_is_not_idle() -> None:
    assert judge(handed_out(0, http=600), POLICY, NOW) is None


def test_an_idle_verdict_says_up_to_when_it_knows_and_asks_kernels() -> None:
    verdict = judge(handed_out(100, http=70), POLICY, NOW)

    assert verdict is not None
    assert verdict.unused_since == NOW - 70 * MINUTE
    assert verdict.ask_kernels


def test_no_limit_means_never() -> None:
    policy = Policy(None, None, cull_busy=False, counts=("http",))

    assert judge(handed_out(100_000), policy, NOW) is None


def test_a_template_has_its_own_rules() -> None:
    template = Template(name="t", idle_timeout=MINUTE, cull_busy=True)

    policy = policy_of(template, CullingSettings())

    assert policy.idle_timeout == MINUTE
    assert policy.max_age == timedelta(hours=8)
    assert policy.cull_busy


def test_a_template_can_lift_a_limit_that_others_have() -> None:
    template = Template(name="t", idle_timeout=NEVER, max_age=MINUTE)

    policy = policy_of(template, CullingSettings(max_age=NEVER))

    assert policy.idle_timeout is None
    assert policy.max_age == MINUTE
    assert policy_of(None, CullingSettings(max_age=NEVER)).max_age is None


def test_7_10_requests_and_what_a_client_says_count_by_default() -> None:
    policy = policy_of(None, CullingSettings())

    assert set(policy.counts) == {"http", "ws_in"}


def test_7_10_all_four_clocks_can_be_made_to_count() -> None:
    policy = policy_of(None, CullingSettings(activity_counts=("ws_out",)))

    assert judge(handed_out(100, ws_out=1), policy, NOW) is None


@pytest.mark.parametrize(
    ("kernels", "is_done"),
    [
        ([], True),
        ([{"execution_state": "idle", "last_activity": "2026-01-01T10:00:00Z"}], True),
        ([{"execution_state": "busy", "last_activity": "2026-01-01T10:00:00Z"}], False),
        ([{"execution_state": "idle", "last_activity": "2026-01-01T11:59:00.5Z"}], False),
        ([{"execution_state": "idle", "last_activity": "yesterday"}], True),
        ([{"execution_state": "idle"}], True),
        ([{}, {"execution_state": "busy"}], False),
    ],
)
def test_kernels_that_work_or_worked_lately_keep_an_environment(
    kernels: list[dict[str, object]], is_done: bool
) -> None:
    assert (kept_by_kernels(kernels, 60 * MINUTE, NOW) is None) is is_done


@pytest.mark.parametrize(
    ("environment", "due"),
    [
        (handed_out(5), 55),
        (handed_out(100, http=1), 59),
        (handed_out(479, http=0), 1),
        (handed_out(100), -40),
    ],
)
def test_it_is_judged_at_the_very_instant_at_which_it_is_due(
    environment: Environment, due: float
) -> None:
    moment = due_at(environment, POLICY)

    assert moment == NOW + due * MINUTE
    assert judge(environment, POLICY, moment) is not None
    assert judge(environment, POLICY, moment - timedelta.resolution) is None


def test_what_never_ends_is_never_due() -> None:
    policy = Policy(None, timedelta.max - MINUTE, cull_busy=False, counts=("http",))

    assert due_at(handed_out(5), policy) is None
    assert judge(handed_out(5), policy, NOW) is None


def test_one_that_is_kept_is_due_when_its_kernels_have_rested_or_by_age() -> None:
    kept = kept_by_kernels([{}, {"execution_state": "busy"}], 60 * MINUTE, NOW)

    assert kept is not None
    assert kept.why == "1 of 2 kernels busy"
    assert due_when_kept(handed_out(100), POLICY, kept) == NOW + 60 * MINUTE
    assert due_when_kept(handed_out(470), POLICY, kept) == NOW + 10 * MINUTE
    assert due_when_kept(handed_out(100), POLICY, UNKNOWN) == NOW + 380 * MINUTE


@pytest.mark.parametrize(
    ("asked", "template", "holds"),
    [
        (None, 30 * MINUTE, 30 * MINUTE),
        (10 * MINUTE, 30 * MINUTE, 10 * MINUTE),
        (90 * MINUTE, 30 * MINUTE, 30 * MINUTE),
        (10 * MINUTE, NEVER, 10 * MINUTE),
        (90 * MINUTE, None, 60 * MINUTE),
        (None, NEVER, None),
    ],
)
def test_a_launch_may_ask_for_less_idle_time_and_gets_no_more(
    asked: timedelta | None, template: timedelta | None, holds: timedelta | None
) -> None:
    environment = replace(handed_out(5), idle_timeout=asked)

    policy = policy_for(environment, Template(name="t", idle_timeout=template), CullingSettings())

    assert policy.idle_timeout == holds
    assert policy.max_age == CullingSettings().max_age
