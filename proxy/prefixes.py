"""Find the longest prefix of a path, among any number of them. Pure.

Prefixes end where segments end: ``/user/foo`` holds ``/user/foo/x`` and never
``/user/foobar``. Both are compared decoded, so that ``/user/foo%40bar`` and
``/user/foo@bar`` are one; slashes at either end make no difference.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Generic, TypeVar
from urllib.parse import unquote_to_bytes

T = TypeVar("T")

_LEADING = re.compile(rb"(?:/|%2f)+", re.IGNORECASE)
_BOUNDARY = re.compile(rb"/|%2f", re.IGNORECASE)


class Prefixes(Generic[T]):
    """Values by prefix.

    The mutable state is one dictionary by decoded prefix without its outer
    slashes, and how many prefixes there are of each depth: a path is cut at the
    depths that exist, the longest first, which is two look-ups however many
    prefixes there are where all are of one depth and one is the root.
    """

    def __init__(self) -> None:
        self._values: dict[bytes, T] = {}
        self._counts: Counter[int] = Counter()
        self._depths: tuple[int, ...] = ()

    def put(self, prefix: bytes, value: T) -> None:
        """Hold ``value`` for a decoded prefix, in place of what was held."""
        key = prefix.strip(b"/")
        if key not in self._values:
            self._count(key, +1)
        self._values[key] = value

    def pop(self, prefix: bytes) -> T | None:
        """Let go of the value of exactly this prefix, and return it."""
        key = prefix.strip(b"/")
        value = self._values.pop(key, None)
        if value is not None:
            self._count(key, -1)
        return value

    def get(self, prefix: bytes) -> T | None:
        """Return the value of exactly this prefix."""
        return self._values.get(prefix.strip(b"/"))

    def find(self, path: bytes) -> T | None:
        """Return the value of the longest prefix of a decoded path."""
        path = path.strip(b"/")
        values, depths = self._values, self._depths
        if not depths:
            return None
        segments = path.split(b"/", depths[0]) if path else []
        for depth in depths:
            if depth <= len(segments):
                value = values.get(b"/".join(segments[:depth]))
                if value is not None:
                    return value
        return None

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._values.values()))

    def __len__(self) -> int:
        return len(self._values)

    def _count(self, key: bytes, change: int) -> None:
        depth = depth_of(key)
        self._counts[depth] += change
        if (self._counts[depth] > 0) != (depth in self._depths):
            self._depths = tuple(sorted((+self._counts).keys(), reverse=True))


def depth_of(key: bytes) -> int:
    """Return how many segments a prefix without its outer slashes has."""
    return key.count(b"/") + 1 if key else 0


def decoded(path: bytes) -> bytes:
    """Return ``path`` with its escapes decoded once."""
    return unquote_to_bytes(path) if b"%" in path else path


def without_segments(path: bytes, depth: int) -> bytes:
    """Return what follows the first ``depth`` segments of a path that is not decoded.

    An encoded slash is a boundary too, since it is one in the decoded path.
    """
    if not depth:
        return path
    leading = _LEADING.match(path)
    for boundary in _BOUNDARY.finditer(path, leading.end() if leading else 0):
        depth -= 1
        if not depth:
            return path[boundary.start() :]
    return b""
