"""Decide how large a pool must be for those who come, and how many spares it keeps.

Pure. Visitors come independently of each other (Poisson), and that decides both:

- ``size`` by Erlang's loss formula: who finds every place taken is turned away.
  Only the mean of the stay matters, not how stays are distributed.
- ``spare`` by Palm's theorem: each hand-out starts a successor, so as many starts
  are under way as visitors came within one start. Who finds a start under way for
  each of the spares waits.

The stay is the time for which a place is taken: from hand-out to the end, with the
idle time before it is culled.
"""

import math
from dataclasses import dataclass
from datetime import timedelta

#: More at once than any one deployment runs; below it the search takes a second at most.
MOST_IN_USE = 1_000_000
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Who comes, how long they stay, and how long a start takes."""

    #: Visitors a second who want an environment, those who are turned away among them.
    rate: float
    stay: timedelta
    start: timedelta

    @property
    def offered(self) -> float:
        """Say how many would be in use on average if nobody were turned away (in erlang)."""
        return self.rate * self.stay.total_seconds()

    @property
    def starting(self) -> float:
        """Say how many visitors come during one start, on average."""
        return self.rate * self.start.total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A pool that meets a demand, and what becomes of visitors with it."""

    demand: Demand
    size: int
    spare: int
    #: Shares of all visitors.
    turned_away: float
    waiting: float

    @property
    def in_use(self) -> float:
        """Say how many are in use on average."""
        return self.demand.offered * (1 - self.turned_away)

    @property
    def turned_away_a_day(self) -> float:
        """Say how many visitors find the pool full within a day that is always so busy."""
        return self.demand.rate * _DAY_S * self.turned_away


def plan(demand: Demand, *, full_risk: float, wait_risk: float) -> Plan:
    """Choose the smallest pool that keeps both risks, each a share of all visitors.

    A pool too small for so many spares keeps as many as it can.

    Raises:
        ValueError: The demand is nothing, or beyond :data:`MOST_IN_USE`.
    """
    if demand.offered <= 0:
        raise ValueError("nobody comes, or nobody stays: there is nothing to plan for")
    if max(demand.offered, demand.starting) > MOST_IN_USE:
        raise ValueError(f"that is more than {MOST_IN_USE} environments at once")
    size = size_for(demand.offered, full_risk)
    spare = min(spare_for(demand.starting, wait_risk), size)
    return Plan(
        demand=demand,
        size=size,
        spare=spare,
        turned_away=erlang_b(size, demand.offered),
        waiting=reaches(spare, demand.starting),
    )


def erlang_b(places: int, offered: float) -> float:
    """Give the share of visitors who find all places taken.

    By the recurrence on the places, which neither overflows nor cancels.
    """
    blocked = 1.0
    for number in range(1, places + 1):
        blocked = offered * blocked / (number + offered * blocked)
    return blocked


def size_for(offered: float, full_risk: float) -> int:
    """Give the fewest places with which at most this share of visitors is turned away."""
    blocked, places = 1.0, 0
    while blocked > full_risk:
        places += 1
        blocked = offered * blocked / (places + offered * blocked)
    return places


def reaches(number: int, mean: float) -> float:
    """Give the probability that a Poisson number of this mean is so large, or larger."""
    if number <= 0:
        return 1.0
    # From the small terms to the large, so that none is lost.
    return min(1.0, sum(_poisson(each, mean) for each in range(_top(number, mean), number - 1, -1)))


def spare_for(starting: float, wait_risk: float) -> int:
    """Give the fewest spares with which at most this share of visitors waits."""
    tail = 0.0
    for number in range(_top(0, starting), 0, -1):
        tail += _poisson(number, starting)
        if tail > wait_risk:
            return number + 1
    return 1


def _poisson(number: int, mean: float) -> float:
    if mean == 0:
        return float(number == 0)
    return math.exp(number * math.log(mean) - mean - math.lgamma(number + 1))


def _top(number: int, mean: float) -> int:
    """Give a number above which nothing is left that a float would show."""
    return max(number, math.ceil(mean + 40 * math.sqrt(mean))) + 100
