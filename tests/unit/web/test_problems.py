"""What failures mean in HTTP."""

from datetime import timedelta

from spawner import errors
from web.problems import _STATUS, bad_request, problem_of


def test_every_failure_of_the_core_has_a_status() -> None:
    codes = {
        failure.code
        for failure in vars(errors).values()
        if isinstance(failure, type)
        and issubclass(failure, errors.ServiceError)
        and failure is not errors.ServiceError
    }

    assert codes == set(_STATUS)


def test_who_is_turned_away_is_told_when_to_come_back_each_at_another_moment() -> None:
    full = errors.PoolFull("t", timedelta(seconds=20))

    early, late = problem_of(full, lambda: 0.0), problem_of(full, lambda: 1.0)

    assert (early.status, early.headers["Retry-After"]) == (429, "20")
    assert late.headers["Retry-After"] == "30"
    assert early.body["status"] == "full"


def test_a_wait_that_is_the_callers_own_is_told_to_the_second() -> None:
    limited = errors.Limited(
        "t", "launches_per_hour", allowed=3, retry_after=timedelta(seconds=61.2)
    )

    problem = problem_of(limited, lambda: 1.0)

    assert (problem.status, problem.headers["Retry-After"]) == (429, "62")
    assert (problem.body["status"], problem.body["limit"]) == ("full", "launches_per_hour")


def test_a_limit_of_which_nobody_knows_the_end_is_tried_at_another_moment_by_each() -> None:
    limited = errors.Limited("t", "total", allowed=3)

    early, late = problem_of(limited, lambda: 0.0), problem_of(limited, lambda: 1.0)

    assert (early.headers["Retry-After"], late.headers["Retry-After"]) == ("30", "45")


def test_a_malformed_request_is_not_worth_trying_again() -> None:
    problem = problem_of(bad_request("The body is no JSON."))

    assert problem.status == 400
    assert "Retry-After" not in problem.headers
    assert problem.body == {"type": "bad_request", "error": "The body is no JSON."}
