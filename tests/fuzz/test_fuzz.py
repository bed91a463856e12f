"""Thirty seconds of fuzzing, the same each time; ``make fuzz`` goes on for longer."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import play
from tests.fuzz.engine import CRASHES, Crash, Fuzzer, inputs
from tests.fuzz.targets import TARGETS

SECONDS = 30 / len(TARGETS)
SEED = 20_250_101


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_breaks_the_rules(target: str) -> None:
    fuzzer = Fuzzer(TARGETS[target], inputs(target), CRASHES / target)

    crash = fuzzer.run(SEED, SECONDS)

    assert crash is None, str(crash)
    assert fuzzer.played > 0


def breaks_on_a_percent(data: bytes) -> None:
    assert b"%" not in data


def find(crashes: Path) -> Crash:
    crash = Fuzzer(breaks_on_a_percent, inputs("requests"), crashes).run(1, 60)
    assert crash is not None
    return crash


def test_what_breaks_is_saved_as_small_as_it_gets(tmp_path: Path) -> None:
    crash = find(tmp_path)

    # Two requests at most are left, of up to a hundred headers; which, is a matter of luck.
    data = crash.path.read_bytes()
    assert data.count(b"%") == 1
    assert len(data) < 120
    assert f"seed {crash.seed}" in str(crash)
    assert str(crash.path) in str(crash)


def test_the_same_seed_finds_the_same(tmp_path: Path) -> None:
    first, second = find(tmp_path / "1"), find(tmp_path / "2")

    assert (first.seed, first.path.read_bytes()) == (second.seed, second.path.read_bytes())


def test_a_file_is_played_against_what_its_folder_names(tmp_path: Path) -> None:
    path = tmp_path / "requests" / "input"
    path.parent.mkdir()
    path.write_bytes(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")

    assert play([path]) == 0
