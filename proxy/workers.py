"""Run the data path as several processes, and put another one where one ends.

Each process serves listening sockets of its own on the one port. They are held
here too, so a connection that comes while a process is being replaced waits for
the next one. The one rule: a message reaches every process, also one that is
only starting, and it serves nobody before it has taken what came before.
"""

import asyncio
import itertools
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from proxy.channel import Channel, Message
from proxy.counts import Counts
from proxy.sockets import Listeners, close

log = logging.getLogger(__name__)

#: Each process tells its counts so often, and shows with it that it is not stuck.
TELL_S = 1.0
_MOST_SILENT_S = 30
_ANSWER_S = 5.0
_END_S = 5.0
_PAUSE_STEP_S = 0.5
_LONGEST_PAUSE_S = 5.0
_STABLE_S = 10.0


class WorkersFailed(Exception):
    """A process ended before it could serve; its log says why."""


class _Worker:
    """One process, and what it told."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.counts = Counts()
        self.is_serving = False
        self.silent_s = 0
        self.process: asyncio.subprocess.Process | None = None
        self.asked: dict[int, asyncio.Future[None]] = {}

    def kill(self) -> None:
        """End the process at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()


class Workers:
    """The processes of one data path.

    The mutable state is the processes that run, and what those counted that ran.
    """

    def __init__(
        self,
        command: Sequence[str],
        places: list[Listeners],
        *,
        work: Callable[[], bytes],
        hear: Callable[[Message], None],
    ) -> None:
        """Make one process for each of ``places``.

        ``command`` is run with the descriptors of its channel and its sockets as
        arguments, and ``work()`` as its input. ``hear`` gets what a process says
        that is not for this module.
        """
        self._command = tuple(command)
        self._places = places
        self._work = work
        self._hear = hear
        self._running: set[_Worker] = set()
        self._past = Counts()
        self._ending = asyncio.Event()
        self._numbers = itertools.count(1)
        self._keepers: list[asyncio.Task[None]] = []
        self._watcher: asyncio.Task[None] | None = None
        self.replaced = 0

    async def start(self) -> None:
        """Start every process; return when all of them serve.

        Raises:
            WorkersFailed: One ended instead.
        """
        loop = asyncio.get_running_loop()
        begun = [loop.create_future() for _ in self._places]
        for place, first in zip(self._places, begun, strict=True):
            self._keepers.append(loop.create_task(self._keep(place, first)))
        self._watcher = loop.create_task(self._watch())
        await asyncio.wait(begun)
        if not all(first.result() for first in begun):
            for keeper in self._keepers:
                if keeper.done():
                    keeper.result()
            raise WorkersFailed

    @property
    def counts(self) -> Counts:
        """What all of them count, also those that ended; a second old at most."""
        return sum((worker.counts for worker in self._running), self._past)

    @property
    def processes(self) -> int:
        """How many serve."""
        return sum(worker.is_serving for worker in self._running)

    def tell(self, **message: Any) -> None:
        """Send a message to every process. Never waits."""
        for worker in self._running:
            worker.channel.send(**message)

    async def ask(self, **message: Any) -> None:
        """Send a message, and return when every process that serves has acted on it.

        One that ends meanwhile, or gives no answer in time, is not waited for.
        """
        number = next(self._numbers)
        answers = []
        for worker in self._running:
            worker.channel.send(**message, number=number)
            if worker.is_serving:
                worker.asked[number] = asyncio.get_running_loop().create_future()
                answers.append(worker.asked[number])
        if answers:
            _, late = await asyncio.wait(answers, timeout=_ANSWER_S)
            if late:
                log.warning("A process gives no answer", extra={"event": "worker.late"})

    async def run(self) -> None:
        """Return when all have ended, which they do not by themselves."""
        await self._ended()
        for keeper in self._keepers:
            keeper.result()

    async def drain(self, *, keeps_idle: bool = False) -> None:
        """Have every process stop accepting and finish what is open; return when all ended.

        For ``keeps_idle`` see :meth:`proxy.listener.Proxy.drain`.
        """
        self._end(do="drain", keeps_idle=keeps_idle)
        await self._see_ended()

    async def abort(self) -> None:
        """End every process at once."""
        self._end(do="abort")
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=_END_S)
        for worker in self._running:
            worker.kill()
        await self._see_ended()

    def _end(self, **message: Any) -> None:
        self._ending.set()
        close(self._places)
        self.tell(**message)

    async def _ended(self) -> None:
        if self._keepers:
            await asyncio.wait(self._keepers)  # who is cancelled here cancels none of them

    async def _see_ended(self) -> None:
        await self._ended()
        for keeper in self._keepers:
            keeper.exception()  # whoever started them was told of the first
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)

    # ---- one place

    async def _keep(self, place: Listeners, first: asyncio.Future[bool]) -> None:
        """Have a process in ``place`` until all end."""
        try:
            await self._keep_on(place, first)
        finally:
            if not first.done():
                first.set_result(False)

    async def _keep_on(self, place: Listeners, first: asyncio.Future[bool]) -> None:
        loop = asyncio.get_running_loop()
        pause_s = 0.0
        while not self._ending.is_set():
            started = loop.time()
            code = await self._run(place, first)
            if not first.done():
                return
            if self._ending.is_set():
                return
            self.replaced += 1
            log.error(
                "A process of the data path ended, and another one follows",
                extra={"event": "worker.ended", "code": code},
            )
            if loop.time() - started > _STABLE_S:
                pause_s = 0.0
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._ending.wait()
            pause_s = min(pause_s + _PAUSE_STEP_S, _LONGEST_PAUSE_S)

    async def _run(self, place: Listeners, first: asyncio.Future[bool]) -> int | None:
        """Run one process to its end; give its exit code."""
        ours, theirs = socket.socketpair()
        worker = _Worker(await Channel.over(ours))
        self._running.add(worker)
        try:
            if self._ending.is_set():  # and the sockets are closed
                return None
            await self._spawn(worker, place, theirs)
            async for message in worker.channel.messages():
                self._take(worker, message)
                if worker.is_serving and not first.done():
                    first.set_result(True)
            return await _see_ended(worker)
        except OSError as error:
            log.error(  # noqa: TRY400  # its text is all there is to say
                "A process cannot be started",
                extra={"event": "worker.not_started", "reason": error.strerror},
            )
            return None
        finally:
            theirs.close()
            worker.kill()
            worker.channel.close()
            self._running.discard(worker)
            self._past += worker.counts.past()
            for answer in worker.asked.values():
                answer.set_result(None)

    async def _spawn(self, worker: _Worker, place: Listeners, theirs: socket.socket) -> None:
        # Asked for in the moment in which it begins to be told of changes.
        work = self._work()
        descriptors = [theirs.fileno(), *(sock.fileno() for sock in place)]
        worker.process = await asyncio.create_subprocess_exec(
            *self._command,
            *map(str, descriptors),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=descriptors,
            # A Ctrl-C in the terminal is for the control process, which passes it on.
            start_new_session=True,
        )
        theirs.close()
        stdin = worker.process.stdin
        assert stdin is not None
        with suppress(ConnectionError):
            if not stdin.is_closing():  # which uvloop raises no ConnectionError for
                stdin.write(work)
                await stdin.drain()
        stdin.close()

    def _take(self, worker: _Worker, message: Message) -> None:
        worker.silent_s = 0
        if "ready" in message:
            worker.is_serving = True
            worker.channel.send(do="abort" if self._ending.is_set() else "serve")
        elif "counts" in message:
            worker.counts = Counts.read(message["counts"])
        elif "done" in message:
            if answer := worker.asked.pop(message["done"], None):
                answer.set_result(None)
        else:
            self._hear(message)

    async def _watch(self) -> None:
        """End whoever says nothing, so that another one follows."""
        while True:
            await asyncio.sleep(TELL_S)
            for worker in self._running:
                # Counted here, so that a machine that slept suspects nobody.
                worker.silent_s += 1
                if worker.silent_s > _MOST_SILENT_S:
                    log.error("A process is stuck", extra={"event": "worker.stuck"})
                    worker.kill()


async def _see_ended(worker: _Worker) -> int:
    """Wait for the end of a process that has hung up; give its exit code."""
    process = worker.process
    assert process is not None
    try:
        async with asyncio.timeout(_END_S):
            return await process.wait()
    except TimeoutError:
        worker.kill()
        return await process.wait()
