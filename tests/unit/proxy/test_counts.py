"""Counts of several processes are added up."""

from proxy.counts import Counts

ONE = Counts(
    connections=2,
    requests=1,
    all_requests=10,
    environment_answers={"200": 9},
    edge_answers={"502": 1},
    bytes_out=5,
    lags={"0.001": 3, "+Inf": 1},
    lag_s=4.5,
)
OTHER = Counts(
    connections=3,
    tasks=4,
    all_requests=5,
    environment_answers={"200": 4},
    edge_answers={"410": 1},
    bytes_in=7,
    lags={"0.001": 2},
    lag_s=0.5,
)


def test_counts_of_two_processes_are_summed() -> None:
    assert (
        Counts(
            connections=5,
            requests=1,
            tasks=4,
            all_requests=15,
            environment_answers={"200": 13},
            edge_answers={"502": 1, "410": 1},
            bytes_in=7,
            bytes_out=5,
            lags={"0.001": 5, "+Inf": 1},
            lag_s=5.0,
        )
        == ONE + OTHER
    )


def test_answers_of_all_kinds_are_summed_by_their_code() -> None:
    counts = Counts(environment_answers={"200": 9, "404": 1}, edge_answers={"404": 2})

    assert counts.answers == {"200": 9, "404": 3}


def test_what_an_ended_process_had_open_is_not_counted_on() -> None:
    assert ONE.past() == Counts(
        all_requests=10,
        environment_answers={"200": 9},
        edge_answers={"502": 1},
        bytes_out=5,
        lags={"0.001": 3, "+Inf": 1},
        lag_s=4.5,
    )


def test_counts_survive_being_told() -> None:
    assert Counts.read(ONE.facts()) == ONE
