"""Read what a command's processes hold: descriptors, memory, threads, tasks, objects.

Of nothing may there be more than there was at first. What is kept on purpose, a bounded
number of it, is named here with its bound.
"""

import json
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.waiting import eventually

#: What a command needs on its PYTHONPATH to be read.
INSIDE = str(Path(__file__).with_name("inside"))
_WORKER = "web.worker"
#: What loops hold of the round they are in, and how much of it at most.
#: Of heads of responses, eight for each target are kept (proxy/response_head.py).
_BOUNDED = {
    "spawner.": 16,
    "asyncio.": 128,
    "_asyncio.": 128,
    "redis.": 1000,
    "proxy.response_head.ResponseHead": 256,
}
#: Connections to Redis that many who ask at once have opened stay, 128 at most
#: (spawner/store/connection.py). These are what each is made of.
_TO_REDIS = "redis.asyncio.connection.UnixDomainSocketConnection"
_PARTS_TO_REDIS = (
    "AF_UNIX ",
    "uvloop.loop.UnixTransport",
    "uvloop.loop.Pseudo",
    "asyncio.streams.",
)
#: Threads are started when there is work, and stay.
_MAX_THREADS_MORE = 24
#: Ids that are gone are remembered, at most 10,000 of them (proxy/routes.py).
_REMEMBERED = "proxy.routes.Route"
_TOLD_S = 60.0
_REST_S = 2.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the processes of a command held at one moment."""

    tasks: Mapping[str, int]
    objects: Mapping[str, int]
    descriptors: Mapping[str, int]
    threads: int
    memory_kib: int


class Gauge:
    """Reads a command that runs with :data:`INSIDE` on its path, and its workers, as one."""

    def __init__(self, pid: int, census: Path, *, workers: int = 0) -> None:
        command = psutil.Process(pid)
        found = [one for one in command.children() if _WORKER in one.cmdline()]
        assert len(found) == workers, found
        self._census = census
        self._processes = [command, *found]

    async def read(self) -> Reading:
        tasks, objects, descriptors = Counter[str](), Counter[str](), Counter[str]()
        for process in self._processes:
            census = await self._ask(process)
            tasks.update(census["tasks"])
            objects.update(census["objects"])
            descriptors.update(_descriptors(process))
        return Reading(
            tasks=tasks,
            objects=objects,
            descriptors=descriptors,
            threads=sum(process.num_threads() for process in self._processes),
            # Pages that are shared with nobody.
            memory_kib=sum(one.memory_full_info().uss for one in self._processes) // 1024,
        )

    async def _ask(self, process: psutil.Process) -> dict[str, dict[str, int]]:
        told = self._census / str(process.pid)
        told.unlink(missing_ok=True)
        process.send_signal(signal.SIGUSR1)

        async def is_told() -> bool:
            return told.exists()

        try:
            await eventually(is_told, within=_TOLD_S)
        except AssertionError:
            what = f"{process.cmdline()}, which is {process.status()},"
            raise TimeoutError(f"{what} told nothing within {_TOLD_S} s") from None
        census: dict[str, dict[str, int]] = json.loads(told.read_text())
        return census

    async def read_at_rest(self) -> Reading:
        """Wait until nothing changes any more."""
        last = await self.read()

        async def rests() -> bool:
            nonlocal last
            before, last = last, await self.read()
            return not list(left_over(before, last))

        await eventually(rests, within=_TOLD_S, every=_REST_S)
        return last

    async def read_returned(self, first: Reading, *, remembered: int, within: float) -> Reading:
        """Wait until everything is as it was at first.

        Raises:
            AssertionError: It did not return; the text says what is left over.
        """
        last = await self.read()

        async def is_back() -> bool:
            nonlocal last
            last = await self.read()
            return not list(left_over(first, last, remembered=remembered))

        try:
            await eventually(is_back, within=within, every=_REST_S)
        except AssertionError:
            rest = "\n".join(left_over(first, last, remembered=remembered))
            raise AssertionError(f"after {within} s this is left over:\n{rest}") from None
        return last


def left_over(first: Reading, now: Reading, *, remembered: int = 0) -> Iterator[str]:
    """Name what there is more of than there was, and how much."""
    if now.threads > first.threads + _MAX_THREADS_MORE:
        yield f"threads: {first.threads} -> {now.threads}"
    opened = max(0, now.objects.get(_TO_REDIS, 0) - first.objects.get(_TO_REDIS, 0))
    for group in ("tasks", "objects", "descriptors"):
        was, are = getattr(first, group), getattr(now, group)
        for kind in sorted(are):
            before, after = was.get(kind, 0), are[kind]
            if after > before + _more(kind, remembered=remembered, opened=opened):
                yield f"{group}: {kind}: {before} -> {after}"


def _more(kind: str, *, remembered: int, opened: int) -> int:
    """Say how many more there may be of a kind than there were."""
    if kind == _REMEMBERED:
        return remembered
    if kind.startswith(_PARTS_TO_REDIS):
        return 2 * opened
    return next((more for prefix, more in _BOUNDED.items() if kind.startswith(prefix)), 0)


def _descriptors(process: psutil.Process) -> Mapping[str, int]:
    """Count what is open by its kind: sockets by family and state, files by their name."""
    sockets = {one.fd: f"{one.family.name} {one.status}" for one in process.net_connections("all")}
    kinds: Counter[str] = Counter()
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:
            continue
        kind, numbers_it, _ = target.partition(":[")
        kind = kind if numbers_it and kind != "anon_inode" else target
        kinds[sockets.get(int(entry.name), kind)] += 1
    return kinds
