"""Choose what may go when Docker's disk is full: pure.

The rule: what is in use stays, whoever uses it; of the rest the oldest goes
first. How much of it goes depends on what each removal frees, which only the
disk can tell, since images share layers: see :mod:`spawner.builder.engine`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Made:
    """An image that an instance has made, as Docker lists it."""

    id: str
    #: Its full references; none if they have moved to a newer one.
    names: tuple[str, ...]
    #: Seconds since 1970.
    created: int


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that holds Docker's files, in bytes."""

    size: int
    used: int

    def is_above(self, percent: float) -> bool:
        """Say whether more than so much of it is used."""
        return self.used > self.size * percent / 100

    def beyond(self, percent: float) -> int:
        """Give how many bytes must go to be down to so much."""
        return max(0, self.used - int(self.size * percent / 100))


def to_go(images: Sequence[Made], *, names: Collection[str], ids: Collection[str]) -> list[Made]:
    """Give what may be removed, the oldest first.

    Used are the images with one of the ``names`` (of templates and builds) and those
    with one of the ``ids`` (of containers).
    """
    free = [one for one in images if one.id not in ids and not set(names) & set(one.names)]
    return sorted(free, key=lambda one: (one.created, one.id))
