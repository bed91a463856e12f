"""Durations and sizes are read as operators write them."""

from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from spawner.units import NEVER, Cpus, Duration, Limit, Size, size_text

DURATION = TypeAdapter(Duration)
SIZE = TypeAdapter(Size)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1.5h", 5400), ("1d", 86400), ("250ms", 0.25), (7, 7), ("7", 7)],
)
def test_a_duration_is_read_in_every_unit(text: object, seconds: float) -> None:
    assert DURATION.validate_python(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["soon", "-5s", "5 weeks", "", True, None])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        DURATION.validate_python(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512M", 512 << 20),
        ("2GiB", 2 << 30),
        ("1k", 1024),
        (4096, 4096),
        ("1.5g", 3 << 29),
        ("512Mi", 512 << 20),
        ("512MB", 512 << 20),
        ("64b", 64),
    ],
)
def test_a_size_is_read_in_every_unit(text: object, size: int) -> None:
    assert SIZE.validate_python(text) == size


@pytest.mark.parametrize("text", ["much", "-1", "5 q", "5i", ""])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        SIZE.validate_python(text)


@pytest.mark.parametrize(
    ("text", "cpus"), [("0.5", 0.5), ("500m", 0.5), ("10", 10), (2, 2), (0.25, 0.25)]
)
def test_processors_are_read_whole_and_in_thousandths(text: object, cpus: float) -> None:
    assert TypeAdapter(Cpus).validate_python(text) == cpus


@pytest.mark.parametrize("text", ["many", "-1", "5 q", "", "1e3", float("inf"), float("nan")])
def test_what_is_no_number_of_processors_is_refused(text: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Cpus).validate_python(text)


def test_a_limit_can_be_lifted_with_a_word() -> None:
    limit = TypeAdapter(Limit)

    assert limit.validate_python("never") == NEVER
    assert limit.validate_python("2h") == timedelta(hours=2)
    assert limit.dump_python(NEVER) == "never"
    with pytest.raises(ValidationError, match="write 90s"):
        limit.validate_python("sometimes")


def test_what_was_dumped_is_read_as_the_same() -> None:
    value = DURATION.validate_python("90m")

    assert DURATION.validate_python(DURATION.dump_python(value)) == value


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0B"), (1023, "1023B"), (1 << 20, "1M"), (3 << 29, "1.5G"), (5 << 50, "5120T")],
)
def test_a_size_is_written_for_people(count: int, text: str) -> None:
    assert size_text(count) == text
