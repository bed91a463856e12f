"""Serve an hour of visitors on Docker, and say what they met and what it took.

Everything that lasts is made shorter by the same measure, but for what the machine
itself needs: starts, hand-outs, and the pace of scripts.
"""

import asyncio
import os
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.report import Figure, quantile, show
from bench.visitors.schedule import HOUR_S, schedule
from bench.visitors.visitor import Tally, Visitor
from tests.components import TINY
from tests.e2e.containers import remove_all
from tests.serving import Serving

SEED = 2026
TEMPLATE = "tiny"
STAY_S = 600.0
IDLE_S = 600.0
SAMPLE_S = 0.5
_CONFIG = """
backend = "docker"
log_level = "warning"
max_starting = 4
on_exit = "stop"
[culling]
idle_timeout = "{idle_ms}ms"
interval = "500ms"
[templates.tiny]
image = "{image}"
stop_grace = "1s"
[pools.tiny]
size = {size}
spare = {spare}
"""


@dataclass(frozen=True, slots=True)
class Hour:
    """What an hour of visitors is, and what serves it."""

    visitors: int = 150
    takes_s: float = 120.0
    size: int = 60
    spare: int = 10
    seed: int = SEED


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an hour."""

    tally: Tally
    #: Memory of tmpenv's process that it shares with nobody, sampled evenly.
    memory_kib: list[float]
    cpu_s: float

    @property
    def growth_kib(self) -> float:
        """Say by how much more memory the last quarter took than the second."""
        quarter = len(self.memory_kib) // 4
        second = statistics.median(self.memory_kib[quarter : 2 * quarter])
        return statistics.median(self.memory_kib[-quarter:]) - second


async def play(hour: Hour) -> Outcome:
    """Have an hour of visitors come and go."""
    instance = f"visitors-{os.getpid()}"
    config = _CONFIG.format(
        idle_ms=round(IDLE_S * hour.takes_s / HOUR_S * 1000),
        image=TINY,
        size=hour.size,
        spare=hour.spare,
    )
    try:
        with tempfile.TemporaryDirectory(prefix="tmpenv-", ignore_cleanup_errors=True) as directory:
            async with Serving(Path(directory), config, instance=instance) as server:
                await server.until_spares(hour.spare, TEMPLATE, within=120)
                return await _play(server, hour)
    finally:
        remove_all(instance)


async def _play(server: Serving, hour: Hour) -> Outcome:
    tally = Tally()
    visitor = Visitor(server.port, TEMPLATE, hour.takes_s, tally)
    process = psutil.Process(server.pid)
    before = process.cpu_times()
    async with _sampling(process) as samples, asyncio.TaskGroup() as group:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        for visit in schedule(hour.seed, visitors=hour.visitors, stay_s=STAY_S):
            arrives = begin + visit.arrives_s * hour.takes_s / HOUR_S
            await asyncio.sleep(max(0.0, arrives - loop.time()))
            group.create_task(visitor.visit(visit))
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return Outcome(tally, samples, used)


@asynccontextmanager
async def _sampling(process: psutil.Process) -> AsyncIterator[list[float]]:
    samples: list[float] = []

    async def sample() -> None:
        while True:
            samples.append(process.memory_full_info().uss / 1024)
            await asyncio.sleep(SAMPLE_S)

    task = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def measure() -> None:
    """Run the bench and show it."""
    hour = Hour()
    outcome = await play(hour)
    tally = outcome.tally
    show(
        "visitors",
        [
            Figure("errors", sum(tally.errors.values()), "", 1, is_ceiling=True),
            Figure(
                "hand-out of a spare, p50",
                quantile(tally.handed_out_ms, 0.5),
                "ms",
                3,
                is_ceiling=True,
            ),
            Figure(
                "hand-out of a spare, p99",
                quantile(tally.handed_out_ms, 0.99),
                "ms",
                15,
                is_ceiling=True,
            ),
            Figure("growth of memory", outcome.growth_kib / 1024, "MiB", 2, is_ceiling=True),
        ],
        {
            "visitors": len(tally.handed_out_ms) + len(tally.waited_s) + tally.turned_away,
            "found a spare": len(tally.handed_out_ms),
            "waited": len(tally.waited_s),
            "longest wait, s": round(max(tally.waited_s, default=0), 1),
            "turned away": tally.turned_away,
            "answers": dict(sorted(tally.answers.items())),
            "left": {str(leaving): number for leaving, number in tally.left.items()},
            "errors": dict(tally.errors),
            "memory at the end, MiB": round(outcome.memory_kib[-1] / 1024, 1),
            "CPU of tmpenv, s": round(outcome.cpu_s, 1),
            "an hour took, s": hour.takes_s,
        },
    )
