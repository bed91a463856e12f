"""Say when a machine was too noisy to tell anything from a measure. Pure.

The rule:

- A measure is *noisy* if the middle half of its rounds lies farther apart than
  :data:`MAX_SPREAD` of their median, or if in the median round others had more
  than :data:`MAX_OTHERS` of the machine (other processes, or time that the
  machine below stole).
- From a noisy measure a target is judged met or missed only if each round by
  itself says the same. Where rounds disagree, it was too noisy to tell.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

MAX_SPREAD = 0.10
MAX_OTHERS = 0.10


@dataclass(frozen=True, slots=True)
class Rounds:
    """One cost for each round, and the share of the machine that others had in it."""

    costs: Sequence[float]
    others: Sequence[float]


def spread(values: Sequence[float]) -> float:
    """Give how far the middle half of the values lies apart, in medians."""
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle if middle else 0.0


def why_noisy(rounds: Rounds) -> str:
    """Say why a measure is noisy; empty if it is not."""
    reasons = []
    if (apart := spread(rounds.costs)) > MAX_SPREAD:
        reasons.append(f"rounds {apart:.0%} apart")
    if (share := statistics.median(rounds.others)) > MAX_OTHERS:
        reasons.append(f"others had {share:.0%} of the machine")
    return ", ".join(reasons)


def why_untold(
    ratios: Sequence[float], bound: float, *, is_ceiling: bool, measures: Sequence[Rounds]
) -> str:
    """Say why ``ratios``, one for each round, cannot be judged; empty if they can.

    ``measures`` are what the ratios were made from.
    """
    reasons = {reason for rounds in measures if (reason := why_noisy(rounds))}
    if not reasons:
        return ""
    verdicts = {ratio <= bound if is_ceiling else ratio >= bound for ratio in ratios}
    return "; ".join(sorted(reasons)) if len(verdicts) > 1 else ""
