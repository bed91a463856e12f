"""Find and end the processes of an environment, and never another's.

A process belongs to an environment if it carries the environment's id in its
variables, or sits in the session of its first process, or descends from one
that belongs. Kernels of Jupyter run in sessions of their own: it is the id that
finds them, even when their parent has died. Every signal goes through psutil,
which sends none to a pid that was given to another process meanwhile.
"""

import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from spawner.errors import StopFailed

MARK = "TMPENV_ID"
_PAUSE_S = 0.02
#: How long killed processes may take to disappear.
_KILLED_S = 15.0
_PROC = Path("/proc")
#: Of /proc/<pid>/stat: ticks from boot to birth, counted from after the name in brackets.
_STARTED = 19


@dataclass(frozen=True, slots=True)
class Root:
    """The first process of an environment: who it is, and how it is known again."""

    environment_id: str
    pid: int | None
    #: What :func:`birth` gave for it; empty if nobody came to note it.
    born: str


def birth(pid: int) -> str:
    """Give what, with its pid, tells a process from all others; empty if there is none.

    On Linux this is not a time of day, which changes when the clock is set.
    """
    try:
        if sys.platform == "linux":
            stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
            return stat.rpartition(")")[2].split()[_STARTED]
        return repr(psutil.Process(pid).create_time())
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return ""


def find_root(root: Root) -> psutil.Process | None:
    """Give the first process if it runs; None if it ended, whoever has its pid now."""
    if root.pid is None:
        return None
    try:
        found = psutil.Process(root.pid)
        if found.status() == psutil.STATUS_ZOMBIE:
            return None
        # A crash may have come before its birth was noted; then its variables tell.
        is_same = birth(root.pid) == root.born if root.born else _mark(found) == root.environment_id
    except psutil.NoSuchProcess:
        return None
    return found if is_same else None


def reap(root: Root) -> str | None:
    """Take the exit status of a child of ours; None if it is not ours or still runs."""
    if root.pid is None:
        return None
    try:
        pid, status = os.waitpid(root.pid, os.WNOHANG)
    except ChildProcessError:
        return None
    if pid == 0:
        return None
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else f"ended by signal {-code}"


def end(root: Root, grace_s: float) -> None:
    """Ask all processes of an environment to end, then end them; return when none is left.

    Raises:
        StopFailed: Some could not be ended.
    """
    members = _family(root)
    for process in members:
        with suppress(psutil.Error):
            process.terminate()
    _await_ends(root, members, grace_s)
    deadline = time.monotonic() + _KILLED_S
    while members := {*_alive(members), *_family(root)}:
        if time.monotonic() > deadline:
            pids = ", ".join(str(process.pid) for process in members)
            raise StopFailed(f"These processes could not be ended: {pids}.")
        for process in members:
            with suppress(psutil.Error):
                process.kill()
        _await_ends(root, members, _PAUSE_S)


def _await_ends(root: Root, members: set[psutil.Process], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while _alive(members) and time.monotonic() < deadline:
        time.sleep(_PAUSE_S)
        reap(root)
    reap(root)


def _alive(members: set[psutil.Process]) -> set[psutil.Process]:
    found = set()
    for process in members:
        with suppress(psutil.NoSuchProcess):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process)
    return found


def _family(root: Root) -> set[psutil.Process]:
    """Give all living processes of an environment."""
    first = find_root(root)
    family: set[psutil.Process] = {first} if first else set()
    for pid in psutil.pids():
        with suppress(psutil.Error, ProcessLookupError, PermissionError):
            process = psutil.Process(pid)
            # The session of a root that has ended may by now be somebody else's.
            in_session = first is not None and os.getsid(pid) == first.pid
            if in_session or _mark(process) == root.environment_id:
                family.add(process)
    for process in list(family):
        with suppress(psutil.Error):
            family.update(process.children(recursive=True))
    return {process for process in _alive(family) if process.pid not in _ourselves()}


def _mark(process: psutil.Process) -> str | None:
    with suppress(psutil.AccessDenied, OSError):
        return process.environ().get(MARK)
    return None


def _ourselves() -> set[int]:
    return {os.getpid(), os.getppid(), 1}
