"""Measure: start every proxy of a group of scenarios, take them in turn, end them.

The proxies have the first processor to themselves, load and backend the others.
Where there is one alone, everything shares it, and :class:`Processors` says so.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.proxy.accounts import cpu_seconds, machine, resident_bytes
from bench.proxy.backends import Backend, backend_for
from bench.proxy.load import prepared
from bench.proxy.rows import Row, Sample
from bench.proxy.scenarios import Group, IdleWebSockets, Scenario
from spawner.identity import new_id
from tests.peers.ours import Tmpenv
from tests.peers.peer import Peer
from tests.peers.running import PEERS

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Processors:
    """Who runs where."""

    proxies: int
    load: frozenset[int]

    @property
    def are_apart(self) -> bool:
        """Whether the proxies have theirs to themselves."""
        return self.proxies not in self.load


def processors() -> Processors:
    """Divide the processors that this process may use."""
    first, *others = sorted(os.sched_getaffinity(0))
    return Processors(first, frozenset(others or [first]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured."""

    rounds: int
    seconds: int  # of each proxy in each round
    peers: Sequence[str] = tuple(PEERS)


@dataclass(slots=True)
class _Lane:
    """One proxy in one scenario, and what was measured of it."""

    scenario: Scenario
    peer: Peer
    backend: Backend
    pids: list[int]
    idle_rss_bytes: int
    samples: list[Sample]


async def measure(groups: Sequence[Group], effort: Effort, tell: Tell) -> list[Row]:
    """Measure all groups, one after the other."""
    cores = processors()
    # What is started from here runs there too; proxies are told otherwise.
    os.sched_setaffinity(0, cores.load)
    rows = []
    for group in groups:
        tell(", ".join(scenario.name for scenario in group))
        rows += await _measure_group(group, effort, cores)
    return rows


async def _measure_group(group: Group, effort: Effort, cores: Processors) -> list[Row]:
    async with AsyncExitStack() as stack:
        lanes: list[_Lane] = []
        for scenario in group:
            backend = await stack.enter_async_context(_backend(scenario))
            for name in scenario.peers:
                if name in effort.peers:
                    running = _lane(scenario, name, backend, cores)
                    lanes.append(await stack.enter_async_context(running))
        # Opened sockets are memory that stays: a second round would find no more of it.
        are_idle = any(isinstance(scenario.load, IdleWebSockets) for scenario in group)
        rounds = 1 if are_idle else effort.rounds
        if rounds > 1:
            # One of them compiles while it runs. So a first round is not counted.
            await _take_turns(lanes, effort.seconds)
            for lane in lanes:
                lane.samples.clear()
        for _ in range(rounds):
            await _take_turns(lanes, effort.seconds)
        return [
            Row(lane.scenario, lane.peer.name, lane.samples, lane.idle_rss_bytes) for lane in lanes
        ]


async def _take_turns(lanes: Sequence[_Lane], seconds: int) -> None:
    for lane in lanes:
        lane.samples.append(await _round(lane, seconds))


@asynccontextmanager
async def _backend(scenario: Scenario) -> AsyncIterator[Backend]:
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        async with backend_for(scenario.load, Path(directory)) as backend:
            yield backend


@asynccontextmanager
async def _lane(
    scenario: Scenario, name: str, backend: Backend, cores: Processors
) -> AsyncIterator[_Lane]:
    """Run a proxy for a scenario."""
    ids = [new_id() for _ in range(scenario.routes)]
    prefix = ("taskset", "-c", str(cores.proxies))
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        async with PEERS[name](Path(directory), backend.port, ids, prefix=prefix) as peer:
            pids = peer.pids
            idle_rss_bytes = resident_bytes(pids)
            if scenario.is_without_redis and isinstance(peer, Tmpenv):
                await asyncio.to_thread(peer.redis.stop)
            yield _Lane(scenario, peer, backend, pids, idle_rss_bytes, [])


async def _round(lane: _Lane, seconds: int) -> Sample:
    async with prepared(
        lane.scenario.load, lane.peer.port, lane.peer.ids, lane.backend, seconds=seconds
    ) as work:
        machine_before, cpu_before = machine(), cpu_seconds(lane.pids)
        done = await work()
        cpu_s = cpu_seconds(lane.pids) - cpu_before
        others = machine().others_since(machine_before)
        return Sample(
            units=done.units,
            seconds=done.seconds,
            cpu_s=cpu_s,
            p50_ms=done.p50_ms,
            p99_ms=done.p99_ms,
            rss_bytes=resident_bytes(lane.pids),
            others=others,
        )
