"""Hold what was measured. Pure."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.proxy.noise import Rounds, spread, why_noisy
from bench.proxy.scenarios import Scenario

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round of one proxy."""

    units: float
    seconds: float
    cpu_s: float
    p50_ms: float
    p99_ms: float
    rss_bytes: int
    #: Share of the machine that went to others.
    others: float


@dataclass(frozen=True, slots=True)
class Row:
    """All rounds of one proxy in one scenario."""

    scenario: Scenario
    peer: str
    samples: Sequence[Sample]
    #: Of its processes, before the first visitor came.
    idle_rss_bytes: int

    @property
    def costs_us(self) -> list[float]:
        """Processor time for each unit, round by round."""
        return [one.cpu_s / one.units * 1e6 for one in self.samples]

    @property
    def cost_us(self) -> float:
        """Processor time for each unit, in the median round."""
        return statistics.median(self.costs_us)

    @property
    def rounds(self) -> Rounds:
        """What tells whether it was noisy."""
        return Rounds(self.costs_us, [one.others for one in self.samples])

    @property
    def rss_bytes(self) -> int:
        """Resident memory at the end."""
        return self.samples[-1].rss_bytes

    def median(self, of: Callable[[Sample], float]) -> float:
        """Give the median over the rounds."""
        return statistics.median(of(one) for one in self.samples)

    @property
    def facts(self) -> dict[str, object]:
        """What is written down."""
        return {
            "scenario": self.scenario.name,
            "peer": self.peer,
            "unit": self.scenario.unit,
            "units_per_second": self.median(lambda one: one.units / one.seconds),
            "cpu_us_per_unit": self.cost_us,
            "p50_ms": self.median(lambda one: one.p50_ms),
            "p99_ms": self.median(lambda one: one.p99_ms),
            "rss_mib": self.rss_bytes / MIB,
            "idle_rss_mib": self.idle_rss_bytes / MIB,
            "busy": self.median(lambda one: one.cpu_s / one.seconds),
            "spread": spread(self.costs_us),
            "others": self.median(lambda one: one.others),
            "noise": why_noisy(self.rounds),
            "cpu_us_per_unit_by_round": self.costs_us,
        }


def ratios(costly: Row, cheap: Row) -> list[float]:
    """Give how many times as much one costs as another, round by round."""
    return [one / other for one, other in zip(costly.costs_us, cheap.costs_us, strict=True)]
