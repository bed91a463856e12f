"""What the proxy bench concludes from its rows."""

import pytest

from bench.proxy.rows import MIB, Row, Sample
from bench.proxy.scenarios import GROUPS, QUICK
from bench.proxy.table import table
from bench.proxy.targets import figures

SCENARIOS = {scenario.name: scenario for group in GROUPS for scenario in group}


def row(
    name: str,
    peer: str,
    *costs_us: float,
    others: float = 0.0,
    idle_mib: float = 20,
    mib: float = 20,
) -> Row:
    """Make a row of rounds that cost so much; each did a thousand units."""
    samples = [
        Sample(
            units=1000,
            seconds=1,
            cpu_s=cost / 1000,
            p50_ms=1,
            p99_ms=2,
            rss_bytes=round(mib * MIB),
            others=others,
        )
        for cost in costs_us
    ]
    return Row(SCENARIOS[name], peer, samples, round(idle_mib * MIB))


def test_a_small_get_is_compared_by_its_cost() -> None:
    against_nginx, against_chp = figures(
        [
            row("get-32", "nginx", 20, 20, 20),
            row("get-32", "chp", 200, 200, 200),
            row("get-32", "tmpenv", 30, 41, 39),
        ]
    )

    assert (against_nginx.value, against_nginx.target) == (pytest.approx(1.95), 2.0)
    assert against_nginx.is_met is None  # its rounds disagree, and lie far apart
    assert (against_chp.value, against_chp.target) == (pytest.approx(0.195), 0.2)


def test_bodies_and_messages_are_compared_by_what_is_done_for_the_same_cost() -> None:
    names = ("down-1mib", "up-1mib")
    found = figures(
        [
            *(row(name, "nginx", 80) for name in names),
            *(row(name, "tmpenv", 100) for name in names),
            row("echo-100b-256", "chp", 30),
            row("echo-100b-256", "tmpenv", 20),
        ]
    )

    assert [(one.value, one.target, one.is_met) for one in found] == [
        (pytest.approx(0.8), 0.8, True),
        (pytest.approx(0.8), 0.8, True),
        (pytest.approx(1.5), 2.0, False),
    ]


def test_memory_is_what_it_grew_by_for_each() -> None:
    found = figures(
        [
            row("idle-2000", "tmpenv", 1, idle_mib=70, mib=80),
            row("routes-10", "tmpenv", 40, idle_mib=70),
            row("routes-100000", "tmpenv", 44, idle_mib=120),
        ]
    )

    assert [(one.unit, round(one.value, 2), one.is_met) for one in found] == [
        ("KiB", 10.24, True),  # 10 MiB among the thousand that the row says it opened
        ("×", 1.1, False),
        ("KiB", 0.51, True),
    ]


def test_what_was_not_measured_has_no_figure() -> None:
    assert figures([row("get-32", "nginx", 20), row("get-1", "tmpenv", 20)]) == []


def test_the_table_has_a_line_for_each_row_with_ratios_and_noise() -> None:
    lines = table(
        [
            row("get-32", "nginx", 20, 20),
            row("get-32", "chp", 200, 200, others=0.5),
            row("get-32", "tmpenv", 30, 30),
            row("down-1mib", "tmpenv", 500, 500),
        ]
    ).splitlines()

    assert lines[2:] == [
        f"| {title} | {peer} | 1 000 | {ratios} | 1.00 ms | 2.00 ms | 20 MiB | {busy} | {noise} |"
        for title, peer, ratios, busy, noise in (
            (
                "**small GET, 32 connections**, by the request",
                "nginx",
                "20.0 µs |  | 0.10",
                "2%",
                "",
            ),
            ("", "chp", "200.0 µs | 10.00 | ", "20%", "others had 50% of the machine"),
            ("", "tmpenv", "30.0 µs | 1.50 | 0.15", "3%", ""),
            (
                "**download 1 MiB, 8 connections**, by the MiB",
                "tmpenv",
                "500.0 µs |  | ",
                "50%",
                "",
            ),
        )
    ]


def test_the_quick_scenarios_are_among_all() -> None:
    assert set(SCENARIOS) > QUICK
