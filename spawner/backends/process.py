"""Run environments as processes of this machine, to try tmpenv without Docker.

Nothing is isolated: a visitor can read and do whatever the user who runs
tmpenv can. A template's image and limits mean nothing here. What there is of
an environment stands in its directory (:mod:`spawner.backends.process_files`).
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import ParamSpec, TypeVar

from spawner.backends.base import Backend, Observed, Order, Progress
from spawner.backends.process_files import Shelf
from spawner.backends.process_keeper import Keeper
from spawner.backends.process_log import FollowedLog
from spawner.backends.process_watch import Listener, Watch
from spawner.backends.threads import InFlight, Lane
from spawner.errors import BackendUnavailable, StartFailed
from spawner.model import Address, Template

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 8
#: How often endings are looked for that nothing told us of.
_SWEEP_S = 2.0
#: How often the file of a log that is followed is looked at; all share few threads.
_FOLLOW_S = 0.1
_FOLLOW_THREADS = 2


class ProcessBackend(Backend):
    """Runs each environment as a process in a session and a directory of its own."""

    name = "process"
    warning = (
        "Environments are plain processes on this machine: nothing isolates them from each other "
        "or from the machine. This is for trying tmpenv without Docker, not for visitors."
    )
    gap = ""

    def __init__(self, instance: str, state_dir: Path) -> None:
        self._keeper = Keeper(instance, Shelf(state_dir.absolute()))
        self._quick = Lane("process", _THREADS)
        self._slow = Lane("process-stop", _THREADS)
        self._sizes = Lane("process-size", 1)
        self._follow = Lane("process-follow", _FOLLOW_THREADS)
        self._starting = InFlight[Address]()
        self._watch = Watch()

    async def open(self) -> None:
        await self._run(self._keeper.prepare)
        await self._sweep()

    async def close(self) -> None:
        await self._starting.close()
        self._watch.close()
        for lane in (self._quick, self._slow, self._sizes, self._follow):
            lane.close()

    async def ping(self) -> None:
        await self._run(self._keeper.all)

    async def prepare(self, template: Template, progress: Progress) -> None:
        await self.ping()  # there are no images here

    async def start(self, order: Order) -> Address:
        return await self._starting.join(order.id, lambda: self._start(order))

    async def stop(self, environment_id: str, grace_s: float) -> None:
        await self._starting.settled(environment_id)
        self._watch.forget(environment_id)
        with _reading():
            await self._slow.run(self._keeper.end, environment_id, grace_s)

    async def inspect(self, environment_id: str) -> Observed | None:
        return await self._run(self._keeper.look, environment_id)

    async def list(self) -> list[Observed]:
        return await self._run(self._keeper.all)

    async def tail(self, environment_id: str, lines: int) -> str:
        return await self._run(self._keeper.tail, environment_id, lines)

    async def disk_usage(self, environment_id: str) -> int | None:
        with _reading():
            return await self._sizes.run(self._keeper.size, environment_id)

    async def follow(self, environment_id: str, lines: int) -> AsyncGenerator[bytes, None]:
        seen = await self._look_at(environment_id)
        if seen is None:
            return
        log = FollowedLog(self._keeper.log(environment_id), lines)
        try:
            while True:
                with _reading():
                    printed = await self._follow.run(log.read)
                if printed:
                    yield printed
                elif seen is None or not seen.is_running:
                    return
                else:
                    await asyncio.sleep(_FOLLOW_S)
                # Asked before the next look at the file, so that no last words are lost.
                seen = await self._look_at(environment_id)
        finally:
            log.close()

    def endings(self) -> AsyncGenerator[str, None]:
        return self._endings(self._watch.listen())

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        with _reading():
            return await self._quick.run(call, *args, **kwargs)

    async def _look_at(self, environment_id: str) -> Observed | None:
        """Look for a follower, in its own threads."""
        with _reading():
            return await self._follow.run(self._keeper.look, environment_id)

    async def _start(self, order: Order) -> Address:
        if order.template.command is None:
            raise StartFailed(
                f'The template "{order.template.name}" has no command, and without Docker there '
                'is no image to bring one: set command = "…".'
            )
        if order.template.egress != "open":
            raise StartFailed(
                f'The template "{order.template.name}" has an egress other than "open", and '
                "nothing holds back a process: use the docker backend."
            )
        address, descriptor = await self._run(self._keeper.launch, order)
        self._watch.watch(order.id, descriptor)
        return address

    async def _endings(self, told: Listener) -> AsyncGenerator[str, None]:
        await self._sweep()
        while True:
            try:
                async with asyncio.timeout(_SWEEP_S):
                    environment_id = await told.get()
            except TimeoutError:
                await self._sweep()
            else:
                yield environment_id

    async def _sweep(self) -> None:
        """Notice what began or ended without our being told."""
        for seen in await self.list():
            if not seen.is_running:
                self._watch.ended(seen.id)
            elif not self._watch.knows(seen.id):
                self._watch.watch(seen.id, await self._run(self._keeper.descriptor, seen.id))


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename or "its directory"
        raise BackendUnavailable(f"{place} cannot be read: {error.strerror}.") from error
