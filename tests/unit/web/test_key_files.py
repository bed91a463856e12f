"""Keys that tmpenv makes for itself."""

import stat
from pathlib import Path

import pytest

from web.key_files import prepare_state, read_key, read_or_make_key
from web.start_errors import StartError


def test_a_key_is_made_once_and_for_its_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "api-key"

    first = read_or_make_key(path)

    assert len(first) == 64
    assert read_or_make_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["api-key"]


def test_an_empty_key_is_no_key(tmp_path: Path) -> None:
    (tmp_path / "api-key").touch()

    with pytest.raises(StartError, match="holds no key"):
        read_or_make_key(tmp_path / "api-key")


def test_a_key_that_is_not_there_reads_as_nothing(tmp_path: Path) -> None:
    assert read_key(tmp_path / "api-key") == ""


def test_a_state_directory_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StartError, match="--state-dir"):
        prepare_state(tmp_path / "file" / "state")
