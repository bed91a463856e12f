"""The clocks of environments, and when they are reported."""

from proxy.activity import ActivityLog


def test_each_mark_sets_its_clock() -> None:
    log = ActivityLog()
    clocks = log.of("abc")

    clocks.begin_request(1.0, counts=True)
    clocks.end_request(2.0, 10, counts=True)
    clocks.begin_request(3.0, counts=False)
    clocks.upload(2.5, 7, counts=True)
    clocks.download(4.0, 20)
    clocks.frames_in(5.0, 3, has_data=True)
    clocks.frames_out(6.0, 4, has_data=False)
    clocks.count_websockets(+1, 7.0)
    (entry,) = log.take()

    assert entry.environment_id == "abc"
    assert (entry.http, entry.ws_in, entry.ws_out, entry.control) == (2.5, 5.0, 4.0, 7.0)
    assert (entry.open_requests, entry.open_websockets) == (1, 1)
    assert (entry.bytes_in, entry.bytes_out) == (10, 34)


def test_a_hand_out_sets_all_clocks() -> None:
    log = ActivityLog()

    log.of("abc").hand_out(9.0)

    (entry,) = log.take()
    assert {entry.http, entry.ws_in, entry.ws_out, entry.control} == {9.0}


def test_taking_returns_what_changed_since_and_begins_to_count_anew() -> None:
    log = ActivityLog()
    log.of("a").upload(1.0, 5, counts=True)
    log.of("b").upload(1.0, 5, counts=True)
    log.take()

    log.of("b").upload(2.0, 1, counts=True)

    assert [(entry.environment_id, entry.bytes_in) for entry in log.take()] == [("b", 1)]
    assert log.take() == []


def test_the_owner_is_called_when_the_log_stops_being_clean() -> None:
    calls: list[int] = []
    log = ActivityLog(on_first=lambda: calls.append(1))

    log.of("a").upload(1.0, 1, counts=True)
    log.of("b").upload(1.0, 1, counts=True)
    log.of("a").upload(2.0, 1, counts=True)
    assert len(calls) == 1
    log.take()
    log.of("a").upload(3.0, 1, counts=True)

    assert len(calls) == 2


def test_what_is_forgotten_is_never_reported_again() -> None:
    log = ActivityLog()
    clocks = log.of("a")
    clocks.upload(1.0, 1, counts=True)

    log.forget("a")
    clocks.upload(2.0, 1, counts=True)

    assert log.take() == []
    assert len(log) == 0
