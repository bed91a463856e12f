"""Show pools and environments in a terminal, or plainly where there is none."""

from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Column, Table
from rich.text import Text

_PLAIN_WIDTH = 500  # nothing is cut where no terminal sets the width


def show(status: dict[str, Any], console: Console) -> None:
    """Print what ``GET /api/status`` answered."""
    backend = status["backend"]["name"]
    console.print(f"tmpenv {status['version']}, instance {status['instance']}, on {backend}\n")
    if status["drain"]["draining"]:
        console.print("Draining: nothing is handed out. tmpenv drain --off takes that back.\n")
    show_table(_pools(status["pools"]), console)
    console.print()
    if status["environments"]:
        show_table(_environments(status["environments"], status["now"]), console)
    else:
        console.print("There are no environments.")


class StatusScreen:
    """The last status there was, as much of it as a terminal holds, and since when none came."""

    def __init__(self, status: dict[str, Any]) -> None:
        self._status = status
        self._failure = ""

    def seen(self, status: dict[str, Any]) -> None:
        """Show a new status."""
        self._status, self._failure = status, ""

    def failed(self, why: str, at: datetime) -> None:
        """Go on showing the last one, and say since when there is no other."""
        if not self._failure:
            self._failure = f"No answer since {at.astimezone():%H:%M:%S}: {why}"

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        status = self._status
        yield f"tmpenv {status['version']}, instance {status['instance']}, at {status['now']}"
        yield Text(self._failure, style="bold red")
        yield _pools(status["pools"])
        yield ""
        # Six lines are neither pools nor environments; the reason for no answer may take two.
        room = max(1, (options.height or options.max_height) - len(status["pools"]) - 7)
        environments = sorted(status["environments"], key=_order)
        yield _environments(environments[:room], status["now"])
        if len(environments) > room:
            yield f"and {len(environments) - room} more, which tmpenv status lists"


def _order(environment: dict[str, Any]) -> tuple[bool, str]:
    # Those that somebody uses first: a screen may hold no more.
    return environment["phase"] != "assigned", str(environment["created_at"])


def show_findings(findings: list[dict[str, Any]], console: Console) -> None:
    """Print what ``GET /api/cull`` answered."""
    if not findings:
        console.print("No environment is in use.")
        return
    table = new_table(
        Column("ENVIRONMENT", no_wrap=True), "TEMPLATE", "WOULD GO", "IDLE", "DUE IN", "WHY"
    )
    for one in sorted(findings, key=lambda each: (not each["goes"], each["due_in_s"] or 0.0)):
        due = one["due_in_s"]
        table.add_row(
            one["id"],
            one["template"],
            "yes" if one["goes"] else "no",
            _span(one["idle_s"]),
            "-" if due is None else _span(due),
            one["kept_by"] or one["reason"] or "in use",
        )
    show_table(table, console)


def console_for_output() -> Console:
    """Give a console as wide as the terminal, or one that cuts nothing."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PLAIN_WIDTH)


def show_table(table: Table, console: Console) -> None:
    """Print a table: with lines on a terminal, else plainly, aligned by spaces."""
    if console.is_terminal:
        console.print(table)
        return
    columns = [list(column.cells) for column in table.columns]
    headers = [str(column.header) for column in table.columns]
    rows = [headers, *(list(map(str, row)) for row in zip(*columns, strict=True))]
    widths = [max(len(row[index]) for row in rows) for index in range(len(headers))]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print("  ".join(cells).rstrip(), markup=False)


def new_table(*columns: Column | str) -> Table:
    """Make a table without rows."""
    # Without lines: an id is whole on a narrow screen too, and more rows are on a low one.
    return Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0))


def _pools(pools: list[dict[str, Any]]) -> Table:
    table = new_table("POOL", "SIZE", "READY", "IN USE", "STARTING", "ENDING", "WAITING", "STATE")
    for pool in pools:
        phases = pool["phases"]
        table.add_row(
            pool["template"],
            str(pool["size"]),
            str(phases["ready"]),
            str(phases["assigned"]),
            str(phases["creating"] + phases["starting"]),
            str(phases["draining"] + phases["failed"]),
            str(pool["waiting"]),
            _state(pool),
        )
    return table


def _state(pool: dict[str, Any]) -> str:
    trouble = pool["trouble"]
    if trouble:
        return f"failing ({trouble['failures']}): {trouble['reason']}"
    return pool["progress"] or "ok"


def _environments(environments: list[dict[str, Any]], now: str) -> Table:
    table = new_table(
        Column("ENVIRONMENT", no_wrap=True),
        "TEMPLATE",
        "PHASE",
        "AGE",
        "IDLE",
        "ENDS IN",
        "REASON",
    )
    for one in sorted(environments, key=lambda each: str(each["created_at"])):
        table.add_row(
            one["id"],
            one["template"],
            one["phase"],
            _apart(one["created_at"], now),
            _apart(one["last_used_at"], now),
            _apart(now, one["expires_at"]),
            one["reason"],
        )
    return table


def _apart(first: str | None, last: str | None) -> str:
    # Both are the server's, whatever this machine's clock says.
    if first is None or last is None:
        return "-"
    return _span((datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds())


def _span(length_s: float) -> str:
    seconds = max(0, int(length_s))
    for unit, letter in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= 2 * unit:
            return f"{seconds // unit}{letter}"
    return f"{seconds}s"
