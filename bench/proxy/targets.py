"""Compare what was measured with what is to be reached (the design's rows). Pure.

A target whose scenarios or proxies were not measured is left out.
"""

import statistics
from collections.abc import Sequence

from bench.proxy.noise import why_untold
from bench.proxy.rows import Row, ratios
from bench.report import Figure

_KIB = 1024
OURS = "tmpenv"


class Rows:
    """Rows by scenario and proxy."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = {(row.scenario.name, row.peer): row for row in rows}

    def get(self, scenario: str, peer: str = OURS) -> Row | None:
        """Give a row, None if it was not measured."""
        return self._rows.get((scenario, peer))


def figures(measured: Sequence[Row]) -> list[Figure]:
    """Give every target that can be told from the rows, with its figure."""
    rows = Rows(measured)
    get, few, many = rows.get("get-32"), rows.get("routes-10"), rows.get("routes-100000")
    down, up, echo = rows.get("down-1mib"), rows.get("up-1mib"), rows.get("echo-100b-256")
    small = "CPU for a small GET"
    wanted = (
        _most(f"{small}, 32 connections, against nginx", get, rows.get("get-32", "nginx"), 2.0),
        _most(f"{small}, 32 connections, against CHP", get, rows.get("get-32", "chp"), 0.2),
        _least("MiB for CPU, downloads, against nginx", down, rows.get("down-1mib", "nginx"), 0.8),
        _least("MiB for CPU, uploads, against nginx", up, rows.get("up-1mib", "nginx"), 0.8),
        _least(
            "messages for CPU, echo 100 B, 256 WebSockets, against CHP",
            *(echo, rows.get("echo-100b-256", "chp"), 2.0),
        ),
        _websocket_memory(rows.get("idle-2000")),
        _most(f"{small}, 100 000 routes, against 10", many, few, 1.05),
        _route_memory(few, many),
    )
    return [figure for figure in wanted if figure is not None]


def _most(name: str, ours: Row | None, other: Row | None, most: float) -> Figure | None:
    """Compare what one unit costs."""
    if ours is None or other is None:
        return None
    return _ratio(name, ours, other, most, is_ceiling=True)


def _least(name: str, ours: Row | None, other: Row | None, least: float) -> Figure | None:
    """Compare what is done for the same cost."""
    if ours is None or other is None:
        return None
    return _ratio(name, other, ours, least, is_ceiling=False)


def _ratio(name: str, costly: Row, cheap: Row, target: float, *, is_ceiling: bool) -> Figure:
    by_round = ratios(costly, cheap)
    return Figure(
        name,
        statistics.median(by_round),
        "×",
        target,
        is_ceiling=is_ceiling,
        doubt=why_untold(
            by_round, target, is_ceiling=is_ceiling, measures=(costly.rounds, cheap.rounds)
        ),
    )


def _websocket_memory(row: Row | None) -> Figure | None:
    if row is None:
        return None
    each = (row.rss_bytes - row.idle_rss_bytes) / row.samples[-1].units / _KIB
    return Figure("memory for an idle WebSocket", each, "KiB", 12, is_ceiling=True)


def _route_memory(few: Row | None, many: Row | None) -> Figure | None:
    if few is None or many is None:
        return None
    routes = many.scenario.routes - few.scenario.routes
    each = (many.idle_rss_bytes - few.idle_rss_bytes) / routes / _KIB
    return Figure("memory for a route", each, "KiB", 1, is_ceiling=True)
