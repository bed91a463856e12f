"""Counts of several processes are added up."""

from proxy.counts import Counts

ONE = Counts(connections=2, requests=1, all_requests=10, answers={"200": 9, "502": 1}, bytes_out=5)
OTHER = Counts(connections=3, tasks=4, all_requests=5, answers={"200": 4, "410": 1}, bytes_in=7)


def test_counts_of_two_processes_are_summed() -> None:
    assert (
        Counts(
            connections=5,
            requests=1,
            tasks=4,
            all_requests=15,
            answers={"200": 13, "502": 1, "410": 1},
            bytes_in=7,
            bytes_out=5,
        )
        == ONE + OTHER
    )


def test_what_an_ended_process_had_open_is_not_counted_on() -> None:
    assert ONE.past() == Counts(all_requests=10, answers={"200": 9, "502": 1}, bytes_out=5)


def test_counts_survive_being_told() -> None:
    assert Counts.read(ONE.facts()) == ONE
