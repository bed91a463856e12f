"""Run what blocks in a few threads, and share what is already under way.

A :class:`Lane` is a bounded pool of threads for one kind of work: what is slow
in one lane never holds up another. :class:`InFlight` keeps one call for each
key, which goes on when whoever asked for it has gone.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Lane:
    """A few threads for one kind of blocking work."""

    def __init__(self, name: str, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Make a call in one of the threads.

        A call that has begun goes on when its caller is cancelled.
        """
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._executor, lambda: call(*args, **kwargs))

    def close(self) -> None:
        """Drop what has not begun; do not wait for what has."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class InFlight(Generic[T]):
    """At most one call for each key at a time, shared by all who ask for it."""

    def __init__(self) -> None:
        self._calls: dict[str, asyncio.Task[T]] = {}

    async def join(self, key: str, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Make the call, or await the one that is under way.

        Cancelling a caller leaves the call to run, so that what it makes is
        either there or not when :meth:`settled` returns, never still to come.
        """
        task = self._calls.get(key)
        if task is None:
            task = asyncio.create_task(call())
            self._calls[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    async def settled(self, key: str) -> None:
        """Return when no call is under way for this key, however it ended."""
        if task := self._calls.get(key):
            await asyncio.wait([task])

    async def close(self) -> None:
        """Give up what is under way."""
        tasks = list(self._calls.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: str, done: asyncio.Task[T]) -> None:
        self._calls.pop(key, None)
        if not done.cancelled():
            done.exception()  # every caller may have gone; that is no error
