"""How long a build takes, against a bare ``docker build`` of the same context.

Both make the same steps of the same Dockerfile with the same command against the
same Docker; in turn, several rounds, each with a mark that keeps its steps out of
the cache. The bare one prints to a pipe that is read and thrown away; ours reads
what is printed, tells it as a log, and asks Docker for the image at the end.

Compared are the fastest rounds: what else goes on on a machine only ever makes a
build take longer. The processor time is that of the client's side, the command
and ourselves; the build itself runs at the daemon, the same for both.
"""

import asyncio
import os
import resource
import secrets
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import docker

from bench.report import Figure, show
from spawner.backends.docker_settings import DockerSettings
from spawner.builder.docker_cli import DockerCli, find_cli
from spawner.builder.engine import DockerEngine
from spawner.builder.model import Plan
from spawner.builder.settings import BuildSettings
from tests.components import TINY

ROUNDS = 9
INSTANCE = f"bench-build-{os.getpid()}"
#: Files, output and time as a small repository's build has them.
DOCKERFILE = f"""\
FROM {TINY}
ARG MARK
RUN echo "$MARK"; seq 2000
COPY files /files
RUN sleep 1; cat /files/* | sha256sum
RUN seq 2000
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one build took, in seconds."""

    wall: float
    cpu: float


def _cpu() -> float:
    # With the commands that have ended.
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _plan(directory: Path) -> Plan:
    files = directory / "files"
    files.mkdir(exist_ok=True)
    for number in range(200):
        (files / str(number)).write_bytes(secrets.token_bytes(10_000))
    (directory / "Dockerfile").write_text(DOCKERFILE)
    return Plan(
        context=directory,
        dockerfile=directory / "Dockerfile",
        dependencies=(),
        arguments={"MARK": secrets.token_hex(8)},
    )


def bare(cli: DockerCli, plan: Plan, image: str) -> Cost:
    """Build by the command alone."""
    began, used = time.perf_counter(), _cpu()
    subprocess.run(
        cli.build(plan, image, {"tmpenv.instance": INSTANCE}),
        check=True,
        env=os.environ | {"DOCKER_BUILDKIT": "1", **plan.arguments},
        capture_output=True,
    )
    return Cost(time.perf_counter() - began, _cpu() - used)


async def ours(engine: DockerEngine, plan: Plan, image: str) -> Cost:
    """Build by the engine."""
    log: list[str] = []
    began, used = time.perf_counter(), _cpu()
    await engine.build(plan, image, labels={}, tell=log.append, step=lambda _at, _of: None)
    cost = Cost(time.perf_counter() - began, _cpu() - used)
    assert len(log) > 4000
    return cost


async def _rounds(directory: Path) -> list[tuple[Cost, Cost]]:
    settings = BuildSettings()
    cli = await find_cli(settings)
    engine = DockerEngine(settings, DockerSettings(), INSTANCE)
    await engine.open()
    found = []
    try:
        for number in range(ROUNDS + 1):
            image = engine.reference("bench", str(number))
            costs: dict[bool, Cost] = {}
            # Who goes first changes, so that what goes on meanwhile favours nobody.
            for is_ours in (True, False) if number % 2 else (False, True):
                plan = _plan(directory)
                if is_ours:
                    costs[True] = await ours(engine, plan, image)
                else:
                    costs[False] = await asyncio.to_thread(bare, cli, plan, f"{image}-bare")
            found.append((costs[False], costs[True]))
    finally:
        await engine.close()
    return found[1:]  # the first one warms up


def _clear() -> None:
    client = docker.from_env()
    for one in client.images.list(filters={"label": f"tmpenv.instance={INSTANCE}"}):
        client.images.remove(one.id, force=True)
    client.close()


async def measure() -> None:
    """Run the bench and show it."""
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        try:
            pairs = await _rounds(Path(directory))
        finally:
            await asyncio.to_thread(_clear)
    wall = min(mine.wall for _, mine in pairs) / min(one.wall for one, _ in pairs)
    cpu = min(mine.cpu for _, mine in pairs) / min(one.cpu for one, _ in pairs)
    medians = statistics.median(mine.wall / one.wall for one, mine in pairs)
    show(
        "build",
        [Figure("time of a build, against a bare docker build", wall, "×", 1.05, is_ceiling=True)],
        {
            "rounds": ROUNDS,
            "median of the rounds, for comparison": f"{medians:.2f} ×",
            "docker build, s": [round(one.wall, 2) for one, _ in pairs],
            "tmpenv, s": [round(mine.wall, 2) for _, mine in pairs],
            "docker build, ms of processor of the client": [
                round(1e3 * one.cpu) for one, _ in pairs
            ],
            "tmpenv, ms of processor of the client": [round(1e3 * mine.cpu) for _, mine in pairs],
            "processor of the client, against a bare docker build": f"{cpu:.2f} ×",
        },
    )
