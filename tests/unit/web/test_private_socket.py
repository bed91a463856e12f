"""Where the edge and the application meet."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from web.private_socket import private_socket


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        yield Path(directory)


def bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def test_a_socket_is_where_only_its_user_can_enter_and_goes_with_its_process(state: Path) -> None:
    with private_socket(state) as path:
        bound(path).close()

        assert path.parent.stat().st_mode & 0o777 == 0o700

    assert not list(path.parent.iterdir())


def test_what_a_killed_process_left_is_removed_and_what_lives_is_not(state: Path) -> None:
    with private_socket(state) as first:
        living = bound(first)
        dead = first.with_name("dead.sock")
        beginning = first.with_name("beginning.sock")
        for path in (dead, beginning):
            bound(path).close()
        for path in (dead, first):
            os.utime(path, (0, 0))

        with private_socket(state) as second:
            assert not dead.exists()
            assert first.exists()
            assert beginning.exists()
            assert second != first
        living.close()


def test_a_state_whose_path_is_too_long_has_its_socket_elsewhere(state: Path) -> None:
    deep = state / ("x" * 100)
    deep.mkdir()

    with private_socket(deep) as path:
        bound(path).close()

    assert deep not in path.parents
    assert not path.parent.exists()
