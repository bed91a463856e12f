"""Notice at once when a process ends.

Linux gives a file descriptor that becomes readable then, for any process and
not just for children. Elsewhere nothing is watched here, and the backend's
sweep notices.
"""

import asyncio
import os
from collections.abc import Callable
from weakref import WeakSet

Listener = asyncio.Queue[str]


def open_pidfd(pid: int) -> int | None:
    """Give a descriptor of a process; None where there is none to be had."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None


class Watch:
    """Watches processes, and tells all who listen which environment's has ended."""

    def __init__(self) -> None:
        self._descriptors: dict[str, int] = {}
        self._running: set[str] = set()
        self._listeners: WeakSet[Listener] = WeakSet()

    def listen(self) -> Listener:
        """Give a queue that gets the ids from now on, for as long as somebody holds it."""
        queue = Listener()
        self._listeners.add(queue)
        return queue

    def knows(self, environment_id: str) -> bool:
        """Say whether an environment was seen running and not yet ended."""
        return environment_id in self._running

    def watch(self, environment_id: str, descriptor: int | None) -> None:
        """Take note that an environment runs; the descriptor is ours from now on."""
        if environment_id in self._running:
            if descriptor is not None:
                os.close(descriptor)
            return
        self._running.add(environment_id)
        if descriptor is not None:
            self._descriptors[environment_id] = descriptor
            loop = asyncio.get_running_loop()
            loop.add_reader(descriptor, self._teller(environment_id))

    def ended(self, environment_id: str) -> None:
        """Tell that an environment has ended, if it was known to run."""
        if environment_id in self._running:
            self.forget(environment_id)
            for queue in self._listeners:
                queue.put_nowait(environment_id)

    def forget(self, environment_id: str) -> None:
        """Watch no longer; its end will not be told."""
        self._running.discard(environment_id)
        descriptor = self._descriptors.pop(environment_id, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)

    def close(self) -> None:
        """Watch nothing any more."""
        for environment_id in list(self._running):
            self.forget(environment_id)

    def _teller(self, environment_id: str) -> Callable[[], None]:
        return lambda: self.ended(environment_id)
