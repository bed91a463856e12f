"""Find a place for the socket between the edge and the application.

It is in a directory of the state that only this user can enter, under a name
of this process' own; what a killed process left there is removed.
"""

import os
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spawner.store.embedded import LONGEST_SOCKET_PATH

_DIRECTORY = "sockets"
_GRACE_S = 60.0


@contextmanager
def private_socket(state: Path) -> Iterator[Path]:
    """Give a path for a socket, and leave nothing of it.

    Where the state's own path is too long for a socket, it is in a temporary
    directory.
    """
    directory = state / _DIRECTORY
    path = directory / f"{secrets.token_hex(4)}.sock"
    if len(os.fsencode(path)) > LONGEST_SOCKET_PATH:
        with tempfile.TemporaryDirectory(prefix="tmpenv-") as temporary:
            yield Path(temporary) / path.name
        return
    directory.mkdir(mode=0o700, exist_ok=True)
    for other in directory.glob("*.sock"):
        if _is_old(other) and not _is_listened_to(other):
            other.unlink(missing_ok=True)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _is_old(path: Path) -> bool:
    """Say whether its process has had the time to listen, if it ever will."""
    try:
        return time.time() - path.stat().st_mtime > _GRACE_S
    except FileNotFoundError:
        return False


def _is_listened_to(path: Path) -> bool:
    """Say whether a process is behind a socket; only a refusal says that none is."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except OSError:
            return True
    return True
