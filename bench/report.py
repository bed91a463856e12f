"""Say what was measured, on what, and write it down."""

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number beside the number to reach."""

    name: str
    value: float
    unit: str
    target: float
    #: Whether the target is a ceiling or a floor.
    is_ceiling: bool
    #: Why the machine was too noisy to tell; empty if it was not.
    doubt: str = ""

    @property
    def is_met(self) -> bool | None:
        """Say whether the target is reached, None if that cannot be told."""
        if self.doubt:
            return None
        return self.value <= self.target if self.is_ceiling else self.value >= self.target

    @property
    def ratio(self) -> float:
        """Give the value in targets: below 1 is good for a ceiling, above 1 for a floor."""
        return self.value / self.target


_VERDICTS = {True: "yes", False: "NO", None: "too noisy to tell"}


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value below which ``share`` of the values lie."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def show(
    bench: str,
    figures: Sequence[Figure],
    details: dict[str, object],
    *,
    rows: Sequence[dict[str, object]] = (),
    path: Path | None = None,
) -> None:
    """Print a table and write everything as JSON, below ``bench/results/`` or at ``path``.

    ``rows`` are written alone: whoever has some shows them in a way of its own.
    """
    print(f"\n## {bench}\n")
    print("| what | measured | target | ratio | met |")
    print("|---|---|---|---|---|")
    for one in figures:
        sign = "≤" if one.is_ceiling else "≥"
        verdict = _VERDICTS[one.is_met] + (f" ({one.doubt})" if one.doubt else "")
        print(
            f"| {one.name} | {one.value:.3g} {one.unit} | {sign} {one.target:g} {one.unit} "
            f"| {one.ratio:.2f} | {verdict} |"
        )
    for name, value in details.items():
        print(f"- {name}: {value}")
    record = {
        "bench": bench,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
        },
        "figures": [{**asdict(one), "ratio": one.ratio, "is_met": one.is_met} for one in figures],
        "details": details,
        "rows": list(rows),
    }
    if path is None:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{bench}.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"- written to {path}")
