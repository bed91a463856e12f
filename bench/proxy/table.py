"""Show rows as a Markdown table. Pure."""

from collections.abc import Sequence

from bench.proxy.noise import why_noisy
from bench.proxy.rows import MIB, Row
from bench.proxy.targets import Rows

_HEAD = (
    "| what | proxy | per second | CPU each | × nginx | × CHP | p50 | p99 | RSS | busy | noise |",
    "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|",
)


def table(measured: Sequence[Row]) -> str:
    """Give a line for each row; each scenario's title stands with its first."""
    rows = Rows(measured)
    lines = list(_HEAD)
    title = ""
    for row in measured:
        shown = "" if row.scenario.title == title else title_of(row)
        title = row.scenario.title
        lines.append(_line(row, shown, rows))
    return "\n".join(lines)


def title_of(row: Row) -> str:
    """Say what was measured, and of what."""
    return f"**{row.scenario.title}**, by the {row.scenario.unit}"


def _line(row: Row, title: str, rows: Rows) -> str:
    cells = (
        title,
        row.peer,
        f"{row.median(lambda one: one.units / one.seconds):,.0f}".replace(",", " "),
        f"{row.cost_us:.1f} µs",
        _times(row, rows.get(row.scenario.name, "nginx")),
        _times(row, rows.get(row.scenario.name, "chp")),
        f"{row.median(lambda one: one.p50_ms):.2f} ms",
        f"{row.median(lambda one: one.p99_ms):.2f} ms",
        f"{row.rss_bytes / MIB:.0f} MiB",
        f"{row.median(lambda one: one.cpu_s / one.seconds):.0%}",
        why_noisy(row.rounds),
    )
    return f"| {' | '.join(cells)} |"


def _times(row: Row, other: Row | None) -> str:
    return "" if other is None or other is row else f"{row.cost_us / other.cost_us:.2f}"
