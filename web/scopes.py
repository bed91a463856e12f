"""What a request may be about, one word for each; keys are made for some of them."""

from enum import StrEnum


class Scope(StrEnum):
    """What is asked of a key."""

    READ = "read"  # look at one build, template, pool or application; any key does
    BUILD = "build"  # start, list and cancel builds
    TEMPLATE = "template"  # list, register and remove templates
    POOL = "pool"  # list, make, resize and remove pools
    LAUNCH = "launch"  # launch where that is not open to all
    ADMIN = "admin"  # everything, also what others have

    @property
    def within(self) -> frozenset["Scope"]:
        """Give the scopes a key needs one of to do this."""
        return frozenset({self, Scope.ADMIN})


#: What a key can be made for.
GRANTED = tuple(scope for scope in Scope if scope is not Scope.READ)
