"""How late an event loop is is measured without a loop that is late."""

from proxy.lag import BOUNDS_S, EVERY_S, NAMES, Lag
from tests.waiting import eventually


class Clock:
    """A clock that each look moves on by so much."""

    def __init__(self, step_s: float) -> None:
        self.now_s = 0.0
        self._step_s = step_s

    def __call__(self) -> float:
        self.now_s += self._step_s
        return self.now_s


def test_a_measure_is_counted_once_at_the_least_bound_that_it_keeps() -> None:
    lag = Lag()

    lag.note(0.004)
    lag.note(BOUNDS_S[-1] + 1)

    assert {name: number for name, number in lag.counts.items() if number} == {
        "0.005": 1,
        "+Inf": 1,
    }
    assert lag.sum_s == 0.004 + BOUNDS_S[-1] + 1


def test_a_timer_that_is_early_is_not_late() -> None:
    lag = Lag()

    lag.note(-0.001)

    assert lag.counts[NAMES[0]] == 1
    assert lag.sum_s == 0.0


async def test_a_loop_is_measured_again_and_again() -> None:
    lag = Lag(Clock(EVERY_S + 0.07))
    lag.start()

    async def is_measured_twice() -> bool:
        return lag.counts["0.1"] == 2

    await eventually(is_measured_twice)
    lag.stop()
