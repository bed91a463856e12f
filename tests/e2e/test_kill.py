"""``kill -9`` at any moment loses no session and no place."""

import asyncio
import os
import random
import time
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tests.components import TINY, require
from tests.e2e.containers import containers, remove_all
from tests.serving import PERL, TINY_SERVER, Serving
from tests.waiting import eventually

SEED = 2026
#: More sessions than this are not kept at once; the oldest is ended.
KEPT = 5
COMMAND = f'command = ["{PERL}", "{TINY_SERVER}"]'
CONFIG = """
backend = "{backend}"
max_starting = 4
[culling]
interval = "200ms"
[templates.kept]
image = "{image}"
stop_grace = "1s"
{command}
[templates.brief]
image = "{image}"
stop_grace = "1s"
idle_timeout = "500ms"
{command}
[pools.kept]
size = 10
spare = 2
[pools.brief]
size = 4
spare = 1
"""


class Load:
    """Launches and stops, as many at once as it can, and remembers what it was given."""

    def __init__(self, server: Serving, seed: random.Random) -> None:
        self._server = server
        self._random = seed
        #: Handed out and not given back, in the order of their hand-out.
        self.sessions: list[str] = []
        self.launched = self.stopped = 0

    async def run(self) -> None:
        """Go on until cancelled; a server that goes away is an end, not an error."""
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(self._visit("kept"))
            group.create_task(self._visit("brief"))

    @property
    def steps(self) -> int:
        """Count what has been done."""
        return self.launched + self.stopped

    async def until(self, steps: int) -> None:
        """Wait until so much has been done."""

        async def is_done() -> bool:
            return self.steps >= steps

        await eventually(is_done, within=60.0)

    async def _visit(self, template: str) -> None:
        with suppress(aiohttp.ClientError, OSError):
            while True:
                status, body = await self._server.spawn(template)
                assert status in {200, 429, 503}, body
                if status == 200:
                    self._note(template, body["id"])
                while len(self.sessions) > KEPT or (self.sessions and self._random.random() < 0.4):
                    # Given up before the request is sent: it may arrive, the answer may not.
                    oldest = self.sessions.pop(0)
                    self.stopped += await self._server.end(oldest) == 200
                await asyncio.sleep(self._random.uniform(0, 0.05))

    def _note(self, template: str, environment_id: str) -> None:
        self.launched += 1
        if template == "kept":
            self.sessions.append(environment_id)


@pytest.mark.parametrize(("backend", "points"), [("docker", 50), ("process", 15)])
async def test_killed_at_any_point_it_loses_no_session_and_no_place(
    backend: str, points: int, directory: Path
) -> None:
    require("redis-server", "perl", *(("tiny-image",) if backend == "docker" else ()))
    instance = f"kill-{os.getpid()}"
    command = COMMAND if backend == "process" else ""
    config = CONFIG.format(backend=backend, image=TINY, command=command)
    seed = random.Random(SEED)
    try:
        async with Serving(directory, config, instance=instance) as server:
            load = Load(server, seed)
            for _ in range(points):
                running = asyncio.create_task(load.run())
                # A random number of steps, so that work gets done, and then a random moment.
                await load.until(load.steps + seed.randrange(4))
                await asyncio.sleep(seed.uniform(0, 0.4))
                server.kill()
                await running
                await server.start()
                await all_answer(server, load.sessions)

            await agree(server, backend, instance)
            await all_answer(server, load.sessions)
            assert load.launched > points
            assert load.stopped > points / 5
            for environment_id in load.sessions:
                assert await server.end(environment_id) == 200
            await agree(server, backend, instance)
    finally:
        if backend == "docker":
            remove_all(instance)


async def all_answer(server: Serving, sessions: list[str]) -> None:
    """See every session answer; one that is being looked for again says 503 for a moment."""
    for environment_id in sessions:

        async def answers(one: str = environment_id) -> bool:
            status = await server.visit(one)
            assert status in {200, 503}, f"session {one} answers {status}"
            return status == 200

        await eventually(answers)


async def agree(server: Serving, backend: str, instance: str) -> None:
    """See the records, what runs and the counts say the same, before a minute is over."""
    deadline = time.monotonic() + 60
    while found := await disagreement(server, backend, instance):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.2)


async def disagreement(server: Serving, backend: str, instance: str) -> str:
    status = await server.status()
    recorded = {one["id"] for one in status["environments"]}
    counted = sum(sum(pool["phases"].values()) for pool in status["pools"])
    busy = [
        pool
        for pool in status["pools"]
        if pool["waiting"] or pool["phases"]["draining"] or pool["phases"]["failed"]
    ]
    if backend == "docker":
        running = await asyncio.to_thread(containers, instance)
    else:
        running = {
            path.name for path in (server.directory / "environments").iterdir() if path.is_dir()
        }
    if recorded == running and counted == len(recorded) and not busy:
        return ""
    return (
        f"recorded only: {recorded - running}, running only: {running - recorded}, "
        f"counted: {counted} of {len(recorded)}, busy: {busy}"
    )
