"""A seed gives one hour of visitors, and its numbers are those that were asked for."""

import statistics

from bench.visitors.schedule import HOUR_S, Leaving, schedule


def test_a_seed_gives_the_same_hour_again_and_another_seed_another() -> None:
    first, again, other = (list(schedule(seed, visitors=50, stay_s=600.0)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_visitors_come_in_order_within_the_hour_and_leave_in_every_way() -> None:
    visits = list(schedule(1, visitors=500, stay_s=600.0))

    arrivals = [visit.arrives_s for visit in visits]
    assert arrivals == sorted(arrivals)
    assert 0 < arrivals[0] < arrivals[-1] < HOUR_S
    assert {visit.leaving for visit in visits} == set(Leaving)


def test_there_are_as_many_as_are_expected_and_they_stay_as_long() -> None:
    hours = [list(schedule(seed, visitors=200, stay_s=600.0)) for seed in range(50)]

    numbers = [len(hour) for hour in hours]
    stays = [visit.stays_s for hour in hours for visit in hour]
    assert 190 < statistics.mean(numbers) < 210
    # As with every Poisson process, the variance is the mean.
    assert 100 < statistics.variance(numbers) < 350
    assert 580 < statistics.mean(stays) < 620
