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

    @property
    def is_met(self) -> bool:
        """Say whether the target is reached."""
        return self.value <= self.target if self.is_ceiling else self.value >= self.target

    @property
    def ratio(self) -> float:
        """Give the value in targets: below 1 is good for a ceiling, above 1 for a floor."""
        return self.value / self.target


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value below which ``share`` of the values lie."""
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def show(bench: str, figures: Sequence[Figure], details: dict[str, object]) -> None:
    """Print a table and write everything as JSON below ``bench/results/``."""
    print(f"\n## {bench}\n")
    print("| what | measured | target | ratio | met |")
    print("|---|---|---|---|---|")
    for one in figures:
        sign = "≤" if one.is_ceiling else "≥"
        print(
            f"| {one.name} | {one.value:.3g} {one.unit} | {sign} {one.target:g} {one.unit} "
            f"| {one.ratio:.2f} | {'yes' if one.is_met else 'NO'} |"
        )
    for name, value in details.items():
        print(f"- {name}: {value}")
    RESULTS.mkdir(exist_ok=True)
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
    }
    path = RESULTS / f"{bench}.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(f"- written to {path.relative_to(Path.cwd())}")
