"""Read the log of a process on and on, while it is written and cut.

The file stays open, so that what an environment said last is read even when
its directory is gone.
"""

import contextlib
import os
import threading
from pathlib import Path
from typing import BinaryIO

#: The most that one look takes.
_PART = 64 << 10  # bytes


class FollowedLog:
    """One log from its last lines on; opened by the first look."""

    def __init__(self, path: Path, lines: int) -> None:
        self._path = path
        self._lines = lines
        self._lock = threading.Lock()
        self._log: BinaryIO | None = None
        self._offset = 0
        self._is_closed = False

    def read(self) -> bytes:
        """Give what was printed since the last look; nothing if nothing was.

        Raises:
            OSError: Nothing is known.
        """
        with self._lock:
            log = self._opened()
            if log is None:
                return b""
            size = os.fstat(log.fileno()).st_size
            # It may have been cut to its last part, most of which was read: go on at its end.
            self._offset = min(self._offset, size)
            log.seek(self._offset)
            printed = log.read(_PART)
            self._offset += len(printed)
            return printed

    def close(self) -> None:
        """Give the file back; a look that is under way is waited for."""
        with self._lock:
            self._is_closed = True
            if self._log is not None:
                self._log.close()

    def _opened(self) -> BinaryIO | None:
        if self._is_closed:
            return None
        if self._log is None:
            with contextlib.suppress(FileNotFoundError):
                self._log = self._path.open("rb")
                self._offset = _before_last(self._log, self._lines)
        return self._log


def _before_last(log: BinaryIO, lines: int) -> int:
    """Find where the last lines begin; as far back as one part reaches."""
    size = log.seek(0, os.SEEK_END)
    start = max(0, size - _PART)
    log.seek(start)
    tail = log.read(size - start)
    end = len(tail.removesuffix(b"\n"))
    for _ in range(lines):
        end = tail.rfind(b"\n", 0, end)
        if end < 0:
            return start
    return start + (end + 1 if lines else len(tail))
