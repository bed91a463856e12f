"""Measure how late an event loop is: how long what is due has to wait for its turn.

A timer is set again and again, and it is noted by how much it was missed. It costs
what four timers a second cost, whatever there is to do.
"""

import asyncio
import time
from collections.abc import Callable

#: Upper bounds; what is later than the last is counted apart.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
EVERY_S = 0.25
_BEYOND = "+Inf"
#: The bounds as they are told, in order.
NAMES = (*map(str, BOUNDS_S), _BEYOND)


class Lag:
    """What was measured in one process: how often it was how late.

    The mutable state is the counts and the timer.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        #: By the least bound that was kept; each measure is counted once.
        self.counts = dict.fromkeys(NAMES, 0)
        self.sum_s = 0.0
        self._clock = clock
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Measure the running loop until :meth:`stop`."""
        if self._timer is None:
            self._set()

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def note(self, late_s: float) -> None:
        """Take one measure in; a timer of a loop may be early by its clock's grain."""
        late_s = max(0.0, late_s)
        self.sum_s += late_s
        bound = next((str(bound) for bound in BOUNDS_S if late_s <= bound), _BEYOND)
        self.counts[bound] += 1

    def _set(self) -> None:
        self._due = self._clock() + EVERY_S
        self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._tick)

    def _tick(self) -> None:
        self.note(self._clock() - self._due)
        self._set()
