"""What a key may be good for, one word for each."""

from enum import StrEnum


class Scope(StrEnum):
    """What is asked of a key."""

    BUILD = "build"  # start, list and cancel builds
    TEMPLATE = "template"  # list, register and remove templates
    POOL = "pool"  # list, make, resize and remove pools
    LAUNCH = "launch"  # launch where that is not open to all
    ADMIN = "admin"  # everything, also what others have

    @property
    def within(self) -> frozenset["Scope"]:
        """Give the scopes a key needs one of to do this."""
        return frozenset({self, Scope.ADMIN})
