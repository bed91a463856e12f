"""Decide who comes, when, for how long, and how they leave. Pure: a seed gives one hour.

All times are those of the real hour; whoever plays it makes them shorter.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

HOUR_S = 3600.0


class Leaving(StrEnum):
    """What a visitor leaves behind."""

    CLOSES = "closes the tab"
    STOPS = "stops the environment"
    LEAVES_OPEN = "leaves the tab open, whose page goes on polling"
    RESTORES = "closes the browser, which restores the tab later"
    POLLS = "leaves a script behind, which asks 20 times a second"


_SHARES = {
    Leaving.CLOSES: 0.45,
    Leaving.STOPS: 0.15,
    Leaving.LEAVES_OPEN: 0.2,
    Leaving.RESTORES: 0.15,
    Leaving.POLLS: 0.05,
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One visitor."""

    arrives_s: float
    stays_s: float
    leaving: Leaving


def schedule(seed: int, *, visitors: int, stay_s: float) -> Iterator[Visit]:
    """Give the visits of an hour in which ``visitors`` are expected, in order.

    Arrivals are a Poisson process, stays are exponential with a mean of ``stay_s``.
    """
    chance = random.Random(seed)  # nobody must not guess it
    arrives_s = chance.expovariate(visitors / HOUR_S)
    while arrives_s < HOUR_S:
        (leaving,) = chance.choices(list(_SHARES), list(_SHARES.values()))
        yield Visit(arrives_s, chance.expovariate(1 / stay_s), leaving)
        arrives_s += chance.expovariate(visitors / HOUR_S)
