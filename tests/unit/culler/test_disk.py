"""Who has too much on disk."""

import pytest

from culler.disk import excess


@pytest.mark.parametrize(("used", "limit"), [(0, 1 << 20), (1 << 20, 1 << 20)])
def test_up_to_its_limit_nobody_has_too_much(used: int, limit: int) -> None:
    assert excess(used, limit) == ""


def test_a_byte_above_is_too_much_and_is_told_with_both_numbers() -> None:
    assert excess((1 << 20) + 1, 1 << 20) == "used 1M of disk, and its limit is 1M"
    assert excess(3 << 29, 1 << 30) == "used 1.5G of disk, and its limit is 1G"
