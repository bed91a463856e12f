"""How long ``POST /api/spawn`` takes when spares are there.

The server gets one processor and the client the other. The pool holds just as
many environments as are asked for, so that no start competes with a hand-out;
environments are tiny processes, since what runs in them does not matter here.
"""

import asyncio
import os
import tempfile
import time
from pathlib import Path

from bench.report import Figure, quantile, show
from tests.serving import PERL, TINY_SERVER, Serving

RATE = 50  # launches a second
SECONDS = 8
NUMBER = RATE * SECONDS
CONFIG = f"""
backend = "process"
log_level = "warning"
max_starting = 16
on_exit = "stop"
[templates.tiny]
stop_grace = "1s"
command = ["{PERL}", "{TINY_SERVER}"]
[pools.tiny]
size = {NUMBER}
"""


def cpu_seconds(pid: int) -> float:
    """Read how much processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure() -> None:
    """Run the bench and show it."""
    with tempfile.TemporaryDirectory(prefix="tmpenv-", ignore_cleanup_errors=True) as directory:
        prefix = ("taskset", "-c", "0")
        async with Serving(Path(directory), CONFIG, instance="bench", prefix=prefix) as server:
            await server.until_spares(NUMBER, "tiny", within=300)
            os.sched_setaffinity(0, {os.cpu_count() - 1 if os.cpu_count() else 0})
            before = cpu_seconds(server.pid)
            took_ms = await _launch_all(server)
            used = cpu_seconds(server.pid) - before
    show(
        "handout",
        [
            Figure("hand-out, p50", quantile(took_ms, 0.50), "ms", 3, is_ceiling=True),
            Figure("hand-out, p99", quantile(took_ms, 0.99), "ms", 15, is_ceiling=True),
        ],
        {
            "launches": len(took_ms),
            "launches a second": RATE,
            "slowest, ms": round(max(took_ms), 2),
            "CPU of the server for each launch, ms": round(used / len(took_ms) * 1000, 2),
        },
    )


async def _launch_all(server: Serving) -> list[float]:
    """Launch at a steady rate, whatever the answers take."""
    took_ms: list[float] = []
    ids: set[str] = set()

    async def launch() -> None:
        began = time.perf_counter()
        status, body = await server.spawn("tiny")
        took_ms.append((time.perf_counter() - began) * 1000)
        assert status == 200, body
        ids.add(body["id"])

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(NUMBER):
            await asyncio.sleep(max(0.0, begin + number / RATE - time.perf_counter()))
            group.create_task(launch())
    assert len(ids) == NUMBER
    return took_ms
