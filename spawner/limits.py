"""Say how much one caller may take.

Pure values. Who a caller is, and what it may have, is decided by the web
package; the store compares and counts in the step that hands out.
"""

from dataclasses import dataclass
from datetime import timedelta

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What holds for one launch; None for no limit.

    A queued launch counts as an environment of its caller. Without a caller
    only ``total`` holds.
    """

    #: Who launches: opaque, the same for the same caller; empty for nobody in particular.
    caller: str = ""
    #: Launches within any ``window``.
    launches_per_hour: int | None = None
    #: Environments at once.
    environments: int | None = None
    #: Environments of the launch's template at once.
    of_template: int | None = None
    #: Environments of all callers at once.
    total: int | None = None
    window: timedelta = HOUR


UNLIMITED = Allowance()
