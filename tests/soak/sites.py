"""The two proxies under test, each in a process of its own, with what lives behind it.

A site lets its places come and go until a moment, and then ends them all.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from tests.command import ROOT, variables
from tests.serving import COMMAND, START_TIMEOUT_S, Serving, free_port
from tests.soak.gauge import INSIDE, Gauge
from tests.soak.world import Ledger, Place, World
from tests.waiting import eventually

#: Without what the virtual environment holds, it is up in half the time.
BARE = (sys.executable, "-I", "-S", str(Path(__file__).with_name("environment.py")))
_TEMPLATE = "soak"
_POOL = 8
_PLACES = 5
_SPARES = 2
_TURN_S = 1.0
_ROUTES = 20
_ROUTE_TURN_S = 0.05
_SERVERS = 6
_WORKERS = 2
_END_S = 60.0


class Site(Protocol):
    """One proxy under test."""

    name: str
    world: World
    gauge: Gauge
    log: Path

    async def live(self, chance: random.Random, until: float) -> None:
        """Let places come and go until a moment, then end all."""
        ...


class Environments:
    """``tmpenv serve`` with real environments."""

    name = "tmpenv serve"

    def __init__(self, serving: Serving, census: Path) -> None:
        self._serving = serving
        self.log = serving.log
        self.gauge = Gauge(serving.pid, census)
        self.world = World(serving.port, frozenset((410, 502)), 410, Ledger())

    async def live(self, chance: random.Random, until: float) -> None:
        ends: set[asyncio.Task[None]] = set()
        while time.monotonic() < until:
            if len(self.world.places) < _PLACES:
                await self._launch()
            else:
                place = chance.choice(self.world.places)
                ends.add(asyncio.create_task(self._end(place, chance)))
            await asyncio.sleep(chance.uniform(0, 2 * _TURN_S))
        for place in list(self.world.places):
            ends.add(asyncio.create_task(self._end(place, chance)))
        await asyncio.gather(*ends)
        await self._serving.until_spares(_SPARES, _TEMPLATE)

    async def _launch(self) -> None:
        status, body = await self._serving.spawn(_TEMPLATE)
        if status == 200:
            self.world.places.append(Place(f"/user/{body['id']}", {body["id"]}))
            self.world.ledger.note("launches")
        elif status != 429:  # those that end keep their places until nothing is left
            self.world.ledger.fault(f"a launch was answered {status} {body}")

    async def _end(self, place: Place, chance: random.Random) -> None:
        """End an environment in one of three ways, and see that it is gone for all."""
        place.is_ending = True
        self.world.places.remove(place)
        (environment_id,) = place.names
        way = chance.choice(("asked", "killed", "died in an upload"))
        if way == "asked":
            status = await self._serving.end(environment_id)
            assert status == 200, status
        elif way == "killed":
            pid = self._serving.directory / "environments" / environment_id / "pid"
            os.kill(int(pid.read_text()), signal.SIGKILL)
        else:
            url = f"{self._serving.url}{place.path}/die"
            with suppress(aiohttp.ClientError):
                await self._serving.session.post(url, data=bytes(100_000))

        async def is_gone() -> bool:
            status = await self._serving.visit(environment_id)
            # The proxy hears of the end a moment later than who asked for it.
            if status not in (200, *self.world.farewells):
                self.world.ledger.fault(f"{place}, which was {way}, answered {status}")
            return status == self.world.gone

        await eventually(is_gone, within=_END_S, every=0.1)
        self.world.ended.append(place.path)
        self.world.ledger.note("ends")
        self.world.ledger.note(f"ends: {way}")


class Routes:
    """``tmpenv proxy`` with routes that are put, put again and taken away."""

    name = "tmpenv proxy"

    def __init__(
        self, pid: int, port: int, api: str, *, census: Path, log: Path, servers: dict[str, int]
    ) -> None:
        self.log = log
        self.gauge = Gauge(pid, census, workers=_WORKERS)
        self.world = World(port, frozenset((404, 502, 503)), 404, Ledger())
        self._api = api
        self._servers = servers
        self._number = 0

    async def live(self, chance: random.Random, until: float) -> None:
        async with aiohttp.ClientSession(self._api) as session:
            while time.monotonic() < until:
                await self._turn(session, chance)
                await asyncio.sleep(chance.uniform(0, 2 * _ROUTE_TURN_S))
            for place in list(self.world.places):
                await self._remove(session, place)

    async def _turn(self, session: aiohttp.ClientSession, chance: random.Random) -> None:
        places = self.world.places
        if len(places) < _ROUTES:
            self._number += 1
            place = Place(f"/user/route{self._number}", set())
            await self._put(session, place, chance)
            places.append(place)
        elif chance.random() < 0.3:
            await self._put(session, chance.choice(places), chance)
        else:
            await self._remove(session, chance.choice(places))

    async def _put(
        self, session: aiohttp.ClientSession, place: Place, chance: random.Random
    ) -> None:
        name = chance.choice(tuple(self._servers))
        place.names.add(name)
        target = f"http://127.0.0.1:{self._servers[name]}"
        async with session.post(f"/api/routes{place.path}", json={"target": target}) as answer:
            assert answer.status == 201, answer.status
        self.world.ledger.note("routes put")

    async def _remove(self, session: aiohttp.ClientSession, place: Place) -> None:
        place.is_ending = True
        self.world.places.remove(place)
        async with session.delete(f"/api/routes{place.path}") as answer:
            assert answer.status == 204, answer.status
        self.world.ended = [*self.world.ended[-100:], place.path]
        self.world.ledger.note("routes taken away")


@asynccontextmanager
async def serve(directory: Path) -> AsyncIterator[Environments]:
    """Run ``tmpenv serve`` on a state directory of its own."""
    config = f"""
backend = "process"
[proxy]
upstream_idle_timeout_s = 2
[templates.{_TEMPLATE}]
command = {json.dumps(BARE)}
stop_grace = "1s"
[pools.{_TEMPLATE}]
size = {_POOL}
spare = {_SPARES}
"""
    serving = Serving(
        directory,
        config,
        variables=_counted(directory),
    )
    async with serving:
        await serving.session.close()
        # No connection of ours may be among what is counted.
        serving.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        await serving.until_spares(_SPARES, _TEMPLATE)
        yield Environments(serving, directory)


@asynccontextmanager
async def proxy(directory: Path) -> AsyncIterator[Routes]:
    """Run ``tmpenv proxy``, and servers for its routes in another process."""
    port, api_port = free_port(), free_port()
    names = [f"server{number}" for number in range(_SERVERS)]
    log = directory / "proxy.log"
    flags = ["--ip", "127.0.0.1", "--port", str(port), "--api-port", str(api_port)]
    flags += ["--proxy-workers", str(_WORKERS)]
    with (
        log.open("ab") as lines,
        _running(*BARE, *names, stdout=subprocess.PIPE) as servers,
        _running(
            COMMAND,
            "proxy",
            *flags,
            stdout=lines,
            stderr=lines,
            env=_counted(directory),
        ) as process,
    ):
        assert servers.stdout is not None
        ports = map(int, servers.stdout.readline().split())

        await eventually(partial(_serves, process, log), within=START_TIMEOUT_S)
        yield Routes(
            process.pid,
            port,
            f"http://127.0.0.1:{api_port}",
            census=directory,
            log=log,
            servers=dict(zip(names, ports, strict=True)),
        )


def _counted(census: Path) -> dict[str, str]:
    path = os.pathsep.join((INSIDE, str(ROOT)))
    return variables(PYTHONPATH=path, SOAK_CENSUS=str(census))


@contextmanager
def _running(*command: str, **more: Any) -> "Iterator[subprocess.Popen[bytes]]":
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **more) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


async def _serves(process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    return "Open " in log.read_text()  # printed when all workers serve
