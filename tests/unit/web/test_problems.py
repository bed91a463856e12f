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


def test_a_malformed_request_is_not_worth_trying_again() -> None:
    problem = problem_of(bad_request("The body is no JSON."))

    assert problem.status == 400
    assert "Retry-After" not in problem.headers
    assert problem.body == {"type": "bad_request", "error": "The body is no JSON."}
