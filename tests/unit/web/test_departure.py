"""How long a tmpenv that is told to end serves on."""

from datetime import timedelta

from web.departure import NOTICE, WATCHED_WITHIN_S, Departure


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_whom_nobody_watches_leaves_at_once() -> None:
    departure = Departure()

    assert departure.begin() == 0
    assert departure.is_leaving


def test_whom_a_balancer_watches_gives_it_time_to_notice() -> None:
    departure = Departure()
    departure.note_question()

    assert departure.begin() == NOTICE.total_seconds()


def test_a_question_of_long_ago_is_no_watch() -> None:
    clock = Clock()
    departure = Departure(clock=clock)
    departure.note_question()
    clock.now += WATCHED_WITHIN_S + 1

    assert departure.begin() == 0


def test_a_time_that_is_set_counts_whoever_watches() -> None:
    watched, unwatched = Departure(timedelta(0)), Departure(timedelta(seconds=7))
    watched.note_question()

    assert (watched.begin(), unwatched.begin()) == (0, 7)
