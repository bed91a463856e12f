"""However visitors and environments come and go, nothing of them is left.

Equal phases of load; after each, everybody leaves, every environment and route is
ended, and descriptors, tasks and objects of every kind must be back where they were
before the first. Memory is compared from the end of the first phase, when what is
allocated lazily is there, to the end of the last.

``make soak MINUTES=30 VISITORS=200 SEED=7`` sets how long, how many at once on each
proxy, and the seed of all choices.
"""

import asyncio
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components import require
from tests.soak.crowd import crowd
from tests.soak.gauge import Reading
from tests.soak.sites import Site, proxy, serve
from tests.soak.visitor import UNKNOWN_IDS

MINUTES = float(os.environ.get("SOAK_MINUTES") or 3)
VISITORS = int(os.environ.get("SOAK_VISITORS") or 40)
SEED = os.environ.get("SOAK_SEED") or str(random.randrange(10**6))
PHASES = 4
#: Of the whole time, to start and to come to rest after each phase.
REST_S = 8.0
RETURN_S = 60.0
#: Allocators keep pages here and there: 1.5 MiB at most in ten runs. A KiB kept of each
#: request is 16 MiB in three minutes.
MAX_GROWTH_KIB = 4 * 1024


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose path is short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="tmpenv-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


async def test_nothing_is_left_of_who_came_and_went(directory: Path) -> None:
    require("redis-server")
    phase_s = max(5.0, MINUTES * 60 / PHASES - REST_S)
    async with serve(directory) as environments, proxy(directory) as routes:
        soaks = [Soak(site) for site in (environments, routes)]
        await asyncio.gather(*(soak.begin() for soak in soaks))
        for phase in range(PHASES):
            until = time.monotonic() + phase_s
            await asyncio.gather(*(soak.run(phase, until) for soak in soaks))
            await asyncio.gather(*(soak.end_phase() for soak in soaks))
        for soak in soaks:
            soak.check_memory()
    # Stopped by now: what ended badly is told at the end.
    for soak in soaks:
        soak.check_log()


class Soak:
    """One proxy, with what was read of it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._readings: list[Reading] = []

    async def begin(self) -> None:
        self._readings.append(await self._site.gauge.read_at_rest())
        print(f"{self._site.name}: seed {SEED}, {VISITORS} visitors; {self._memory()}")

    async def run(self, phase: int, until: float) -> None:
        """Let visitors and places come and go."""
        site = self._site
        seed = f"{SEED} {site.name} {phase}"
        async with asyncio.TaskGroup() as group:
            group.create_task(crowd(site.world, seed=seed, visitors=VISITORS, until=until))
            group.create_task(site.live(random.Random(seed), until))

    async def end_phase(self) -> None:
        """See that everybody was answered well, and that nothing of them is left."""
        world = self._site.world
        world.ledger.check()
        remembered = world.ledger.counts["ends"] + UNKNOWN_IDS
        first = self._readings[0]
        self._readings.append(
            await self._site.gauge.read_returned(first, remembered=remembered, within=RETURN_S)
        )
        print(f"{self._site.name}: {world.ledger.counts['visits']} visits; {self._memory()}")

    def check_memory(self) -> None:
        _, warm, *_, last = self._readings
        growth = last.memory_kib - warm.memory_kib
        assert growth < MAX_GROWTH_KIB, f"{self._site.name} has grown: {self._memory()}"

    def check_log(self) -> None:
        """See that nothing went wrong that no visitor was told of."""
        for line in self._site.log.read_text().splitlines():
            bad = ("Traceback", '"level": "error"', '"level": "critical"', "Warning:")
            assert not any(word in line for word in bad), f"{self._site.name} logged: {line}"
        print(f"{self._site.name}: {dict(sorted(self._site.world.ledger.counts.items()))}")

    def _memory(self) -> str:
        return f"memory {[reading.memory_kib for reading in self._readings]} KiB"
