"""Read what processes have used: their own processor time and memory, and the machine's.

A process' time is what the kernel's clock of that process says, user and system,
all its threads, in nanoseconds: ``/proc/<pid>/stat`` has the same in hundredths of
a second, which is one percent of a round.
"""

import os
import resource
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Give the processor time that processes have used so far.

    Raises:
        OSError: One of them has ended.
    """
    # How clock_getcpuclockid(3) makes the name of a process' clock.
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def resident_bytes(pids: Iterable[int]) -> int:
    """Give the resident memory of processes."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES for pid in pids)


@dataclass(frozen=True, slots=True)
class Machine:
    """What all processors have done until a moment, in seconds."""

    total_s: float
    busy_s: float
    stolen_s: float
    ours_s: float

    def others_since(self, earlier: "Machine") -> float:
        """Give the share of the machine that went to others: stolen, or not of this bench."""
        total_s = self.total_s - earlier.total_s
        stolen_s = self.stolen_s - earlier.stolen_s
        busy_s = self.busy_s - earlier.busy_s
        ours_s = self.ours_s - earlier.ours_s
        return max(0.0, stolen_s + busy_s - ours_s) / total_s if total_s else 0.0


def machine() -> Machine:
    """Read what the processors have done until now."""
    first = Path("/proc/stat").read_text().partition("\n")[0]
    # user nice system idle iowait irq softirq steal; guests are within user.
    ticks = [int(word) * _TICK_S for word in first.split()[1:9]]
    idle_s, stolen_s = ticks[3] + ticks[4], ticks[7]
    total_s = sum(ticks)
    return Machine(total_s, total_s - idle_s - stolen_s, stolen_s, _ours_s())


def _ours_s() -> float:
    """Give the time of this process and all that it has started, the ended ones too."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        with suppress(OSError):
            used += cpu_seconds([child.pid])
    return used
