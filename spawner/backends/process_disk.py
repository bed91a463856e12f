"""Measure a directory while somebody may write in it.

What it takes on disk counts, by blocks, so that a sparse file counts for what
is really there, and a file of several names counts once. Links are not
followed: what they lead to is not the directory's.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_BLOCK = 512


def directory_size(directory: Path) -> int:
    """Give the bytes that a directory takes; what vanishes or is locked meanwhile counts nothing.

    Raises:
        OSError: The directory itself cannot be read.
    """
    seen: set[tuple[int, int]] = set()
    total = 0
    for entry in (directory.lstat(), *_below(directory)):
        if (entry.st_dev, entry.st_ino) not in seen:
            seen.add((entry.st_dev, entry.st_ino))
            total += entry.st_blocks * _BLOCK
    return total


def _below(directory: Path) -> Iterator[os.stat_result]:
    """Give what stands below, each directory opened while the walk is in no other."""
    waiting = list(os.scandir(directory))
    while waiting:
        entry = waiting.pop()
        with suppress(OSError):
            yield entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                with os.scandir(entry) as entries:
                    waiting += entries
