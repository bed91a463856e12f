"""Name this process among all that could hold a lease, and tell if another is dead.

A lease lapses by itself, but whoever starts tmpenv again on the same machine
should not wait for that. A name therefore says host, PID namespace, PID and
start time, and only a name of this host and namespace can be judged.
"""

import os
import platform
from pathlib import Path

import psutil

#: Start times are told by the wall clock, which may be set while we run.
_CLOCK_STEP_S = 2.0


def _namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "-"


def name_process() -> str:
    """Name this process, as no other ever was or will be named."""
    pid = os.getpid()
    started = psutil.Process(pid).create_time()
    return f"{platform.node()}|{_namespace()}|{pid}|{started:.2f}"


def is_dead(holder: str) -> bool:
    """Say whether a process certainly runs no more; False whenever that cannot be told."""
    try:
        node, namespace, pid, started = holder.split("|")
        if (node, namespace) != (platform.node(), _namespace()):
            return False
        return abs(psutil.Process(int(pid)).create_time() - float(started)) > _CLOCK_STEP_S
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.Error):
        return False
