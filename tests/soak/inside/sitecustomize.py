"""Take a census of a process on SIGUSR1, from inside; Python loads this where it is on its path.

So the command under test is the real one, and so are the processes that it starts. The
census goes to a file by the process' number in the directory that ``SOAK_CENSUS`` names.
Garbage is collected first: what only a collection has not reached yet is no leak.
"""

import asyncio
import gc
import json
import os
import signal
import warnings
from collections import Counter
from pathlib import Path

_PACKAGES = frozenset(
    ("proxy", "web", "spawner", "culler", "aiohttp", "asyncio", "_asyncio", "redis", "uvloop")
)


def _tell(*_signal: object) -> None:
    path = Path(os.environ["SOAK_CENSUS"]) / str(os.getpid())
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(_census()))
    draft.rename(path)


def _census() -> dict[str, dict[str, int]]:
    gc.collect()
    kinds = Counter(map(type, gc.get_objects()))
    return {
        "tasks": Counter(_name(task) for task in asyncio.all_tasks()),
        "objects": {
            f"{kind.__module__}.{kind.__qualname__}": count
            for kind, count in kinds.items()
            if str(kind.__module__).partition(".")[0] in _PACKAGES
        },
    }


def _name(task: "asyncio.Task[object]") -> str:
    return str(getattr(task.get_coro(), "__qualname__", "?"))


if "SOAK_CENSUS" in os.environ:
    signal.signal(signal.SIGUSR1, _tell)
    # What was not closed is told in the log.
    warnings.simplefilter("default", ResourceWarning)
