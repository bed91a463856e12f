"""How fast a pool fills, against a bare script that starts the same containers.

Both start as many containers of the same image with the same limits, as many
at once, on the same Docker; in turn, several times, since machines are noisy.
The script starts and no more; tmpenv records, probes and hands on as well.
"""

import asyncio
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import docker

from bench.report import Figure, show
from tests.components import TINY
from tests.e2e.containers import remove_all
from tests.serving import Serving

NUMBER = 40
AT_ONCE = 4
ROUNDS = 3
CONFIG = f"""
backend = "docker"
log_level = "warning"
max_starting = {AT_ONCE}
on_exit = "stop"
[docker]
start_threads = {AT_ONCE}
[templates.tiny]
image = "{TINY}"
stop_grace = "0s"
[pools.tiny]
size = {NUMBER}
"""


def bare() -> float:
    """Start containers from a script; give how many a second."""
    client = docker.from_env()
    network = client.networks.create(f"bench-bare-{os.getpid()}")

    def start(number: int) -> None:
        client.containers.run(
            TINY,
            name=f"bench-bare-{os.getpid()}-{number}",
            detach=True,
            init=True,
            network=network.name,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit="64m",
            memswap_limit="64m",
            pids_limit=64,
            labels={"bench": "bare"},
        )

    try:
        began = time.perf_counter()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(start, range(NUMBER)))
        return NUMBER / (time.perf_counter() - began)
    finally:
        for one in client.containers.list(all=True, filters={"label": "bench=bare"}):
            one.remove(force=True)
        network.remove()
        client.close()


async def filled() -> float:
    """Let tmpenv fill a pool; give how many a second, by its own records."""
    instance = f"bench-{os.getpid()}"
    try:
        with tempfile.TemporaryDirectory(prefix="tmpenv-", ignore_cleanup_errors=True) as directory:
            async with Serving(Path(directory), CONFIG, instance=instance) as server:
                await server.until_spares(NUMBER, "tiny", within=300)
                environments = (await server.status())["environments"]
    finally:
        await asyncio.to_thread(remove_all, instance)
    created = min(_time(one["created_at"]) for one in environments)
    ready = max(_time(one["phase_at"]) for one in environments)
    return NUMBER / (ready - created)


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def measure() -> None:
    """Run the bench and show it."""
    pairs = [(await asyncio.to_thread(bare), await filled()) for _ in range(ROUNDS)]
    ratio = statistics.median(ours / script for script, ours in pairs)
    show(
        "refill",
        [Figure("refill rate against a bare script", ratio, "×", 0.9, is_ceiling=False)],
        {
            "containers": NUMBER,
            "at once": AT_ONCE,
            "script, containers a second": [round(script, 2) for script, _ in pairs],
            "tmpenv, containers a second": [round(ours, 2) for _, ours in pairs],
        },
    )
