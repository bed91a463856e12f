"""Leave the balancer first, and visitors after that.

At SIGTERM ``/readyz`` says 503 at once, while everything is served as before.
Only when the balancer has had the time to notice does the port close: until
then it goes on to send visitors here, and none of them may be refused.

The one rule: who is not watched need not wait. Unless a time is set, there is
one only where somebody has asked ``/readyz`` lately, as a balancer does.
"""

import time
from collections.abc import Callable
from datetime import timedelta

#: How long a balancer that asks is given to notice, where no time is set.
NOTICE = timedelta(seconds=5)
#: Whoever asks more seldom than this is no balancer that would notice.
WATCHED_WITHIN_S = 30.0


class Departure:
    """Whether this process is about to leave, and who watches for that."""

    def __init__(
        self, delay: timedelta | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._delay = delay
        self._clock = clock
        self._asked_at: float | None = None
        self.is_leaving = False

    def note_question(self) -> None:
        """Note that somebody asked whether we are ready."""
        self._asked_at = self._clock()

    def begin(self) -> float:
        """Say from now on that we leave; give the seconds to serve on for."""
        self.is_leaving = True
        if self._delay is not None:
            return self._delay.total_seconds()
        is_watched = (
            self._asked_at is not None and self._clock() - self._asked_at <= WATCHED_WITHIN_S
        )
        return NOTICE.total_seconds() if is_watched else 0.0
