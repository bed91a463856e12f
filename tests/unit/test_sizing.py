"""Pools are as large as Erlang's formulas say, and simulated visitors agree."""

import heapq
import random
from collections import deque
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spawner.sizing import Demand, erlang_b, plan, reaches, size_for, spare_for
from spawner.units import parse_rate, parse_share

offered = st.floats(0.01, 500)
risks = st.floats(1e-6, 0.5)


@pytest.mark.parametrize(
    ("places", "share", "load"),
    # Published tables of Erlang B: the load that so many places carry at this loss.
    [
        (1, 0.01, 0.0101), (5, 0.01, 1.36), (10, 0.01, 4.46), (10, 0.02, 5.08), (20, 0.01, 12.0),
        (20, 0.05, 15.2), (50, 0.01, 37.9), (100, 0.01, 84.1), (100, 0.001, 75.2),
    ],
)  # fmt: skip
def test_the_loss_is_that_of_the_published_tables(places: int, share: float, load: float) -> None:
    assert erlang_b(places, load) == pytest.approx(share, rel=0.03)
    assert size_for(load * 0.995, share) == places


def test_thousands_of_places_are_no_trouble() -> None:
    assert erlang_b(10_000, 10_000.0) == pytest.approx(0.0079, rel=0.02)
    assert 10_000 < size_for(10_000.0, 0.001) < 10_300


@given(offered, risks)
def test_the_size_is_the_smallest_that_keeps_the_risk(load: float, risk: float) -> None:
    size = size_for(load, risk)

    assert erlang_b(size, load) <= risk < erlang_b(size - 1, load)


@given(offered, offered, risks)
def test_more_visitors_never_need_a_smaller_pool(one: float, other: float, risk: float) -> None:
    fewer, more = sorted((one, other))

    assert size_for(fewer, risk) <= size_for(more, risk)
    assert spare_for(fewer, risk) <= spare_for(more, risk)


@given(offered, risks, risks)
def test_less_risk_never_needs_a_smaller_pool(load: float, one: float, other: float) -> None:
    strict, loose = sorted((one, other))

    assert size_for(load, loose) <= size_for(load, strict)
    assert spare_for(load, loose) <= spare_for(load, strict)


@given(offered, risks)
def test_the_spares_are_the_fewest_that_keep_the_risk(mean: float, risk: float) -> None:
    spare = spare_for(mean, risk)

    assert reaches(spare, mean) <= risk
    assert spare == 1 or reaches(spare - 1, mean) > risk


def _arrivals(rate: float, number: int, seed: int) -> list[float]:
    chance, now, found = random.Random(seed), 0.0, []
    for _ in range(number):
        now += chance.expovariate(rate)
        found.append(now)
    return found


@pytest.mark.parametrize("stays", ["exponential", "all the same"])
def test_simulated_visitors_are_turned_away_as_often_as_planned(stays: str) -> None:
    demand = Demand(rate=0.05, stay=timedelta(minutes=25), start=timedelta(seconds=4))
    planned = plan(demand, full_risk=0.02, wait_risk=0.01)
    mean, chance = demand.stay.total_seconds(), random.Random(7)
    ends: list[float] = []
    lost, arrivals = 0, _arrivals(demand.rate, 200_000, seed=7)

    for now in arrivals:
        while ends and ends[0] <= now:
            heapq.heappop(ends)
        if len(ends) >= planned.size:
            lost += 1
        else:
            stay = chance.expovariate(1 / mean) if stays == "exponential" else mean
            heapq.heappush(ends, now + stay)

    assert lost / len(arrivals) == pytest.approx(planned.turned_away, rel=0.15)


def test_simulated_visitors_wait_as_often_as_planned() -> None:
    demand = Demand(rate=2.0, stay=timedelta(hours=1), start=timedelta(seconds=4))
    planned = plan(demand, full_risk=0.001, wait_risk=0.01)
    starts: deque[float] = deque()
    waited, arrivals = 0, _arrivals(demand.rate, 200_000, seed=11)

    for now in arrivals:
        while starts and starts[0] <= now:
            starts.popleft()
        waited += len(starts) >= planned.spare
        starts.append(now + demand.start.total_seconds())

    assert waited / len(arrivals) == pytest.approx(planned.waiting, rel=0.15)
    assert planned.waiting <= 0.01


def test_a_small_pool_keeps_no_more_spares_than_it_holds() -> None:
    demand = Demand(rate=1.0, stay=timedelta(seconds=1), start=timedelta(minutes=1))

    planned = plan(demand, full_risk=0.2, wait_risk=0.01)

    assert planned.spare == planned.size < 60
    assert planned.waiting > 0.01


@pytest.mark.parametrize("rate", [0.0, 1e12])
def test_what_cannot_be_planned_is_refused(rate: float) -> None:
    demand = Demand(rate=rate, stay=timedelta(hours=1), start=timedelta(seconds=4))

    with pytest.raises(ValueError, match=r"nobody comes|more than"):
        plan(demand, full_risk=0.01, wait_risk=0.01)


@pytest.mark.parametrize(
    ("text", "a_second"),
    [("3/min", 0.05), ("180 / h", 0.05), ("0.5/s", 0.5), ("86400/day", 1.0), ("60/m", 1.0)],
)
def test_a_rate_is_read_in_every_unit(text: str, a_second: float) -> None:
    assert parse_rate(text) == pytest.approx(a_second)


@pytest.mark.parametrize("text", ["3", "3/fortnight", "-1/s", "many/min", ""])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no rate"):
        parse_rate(text)


def test_a_share_is_read_as_percent_and_as_a_number() -> None:
    assert parse_share("0.1%") == parse_share("0.001") == pytest.approx(0.001)


@pytest.mark.parametrize("text", ["0", "100%", "1", "-1%", "few", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no share"):
        parse_share(text)
