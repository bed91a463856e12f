"""A real ``tmpenv serve`` in a process of its own, for tests and benchmarks."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import psutil

from spawner.store.embedded import EmbeddedRedis
from tests.waiting import eventually

API_KEY = "the operator's key of all tests"
PERL = "/usr/bin/perl"
TINY_SERVER = str(Path(__file__).parent / "provision" / "tiny" / "server.pl")
START_TIMEOUT_S = 60.0
#: The command as pip installed it, beside the Python that runs the tests.
COMMAND = str(Path(sys.executable).with_name("tmpenv"))


def free_port() -> int:
    """Find a port that nobody uses; a restart needs the same one again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Serving:
    """One tmpenv on one state directory, which may be killed and started again."""

    def __init__(
        self,
        directory: Path,
        config: str,
        *,
        instance: str = "default",
        name: str = "tmpenv",
        variables: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        port: int = 0,
        base_url: str = "/",
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}{base_url.rstrip('/')}"
        self.log = directory / f"{name}.log"
        self._prefix = prefix
        self.config = directory / f"{name}.toml"
        self.config.write_text(
            f'port = {self.port}\nstate_dir = "{directory}"\ninstance = "{instance}"\n'
            f'api_key = "{API_KEY}"\nbase_url = "{base_url}"\n{config}'
        )
        self._variables = variables or {}
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar()
        )
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()
        await self.session.close()
        self._end_processes()
        # Killed servers leave their Redis for the next start; there is none.
        redis = EmbeddedRedis(self.directory / "redis")
        await redis.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _end_processes(self) -> None:
        """End the processes that are kept for a next start; there is none."""
        for path in (self.directory / "environments").glob("*/pid"):
            with suppress(psutil.Error, ProcessLookupError, ValueError):
                pid = int(path.read_text())
                # Whatever has the number by now must be the environment itself.
                if psutil.Process(pid).environ().get("TMPENV_ID") == path.parent.name:
                    os.killpg(pid, signal.SIGKILL)

    async def start(self) -> None:
        """Start it and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, COMMAND, "serve", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._variables},
            )
        await eventually(self._answers, within=START_TIMEOUT_S)

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            async with self.session.get(f"{self.url}/healthz") as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    def kill(self) -> None:
        """End it without a word."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    async def stop(self) -> int:
        """Ask it to end, and wait; give its exit code."""
        if self._process is None:
            return 0
        self._process.terminate()
        return await self.ended()

    async def ended(self) -> int:
        """Wait until it has ended; give its exit code."""
        assert self._process is not None
        code = await asyncio.to_thread(self._process.wait, 60)
        self._process = None
        return code

    async def status(self) -> Any:
        """Ask what ``tmpenv status`` shows."""
        headers = {"Authorization": f"token {API_KEY}"}
        async with self.session.get(f"{self.url}/api/status", headers=headers) as response:
            body = await response.text()
            assert response.status == 200, body
            return json.loads(body)

    async def until_spares(self, number: int, template: str, *, within: float = 120.0) -> None:
        """Wait until a pool has so many spares."""

        async def are_there() -> bool:
            pools = (await self.status())["pools"]
            return any(
                pool["template"] == template and pool["phases"]["ready"] >= number for pool in pools
            )

        await eventually(are_there, within=within, every=0.1)

    async def spawn(self, template: str) -> tuple[int, Any]:
        """Launch; give the status and the body."""
        async with self.session.post(
            f"{self.url}/api/spawn", json={"template": template}
        ) as response:
            return response.status, await response.json()

    async def end(self, environment_id: str) -> int:
        """Ask for an environment's end; give the status."""
        async with self.session.delete(
            f"{self.url}/api/environments/{environment_id}",
            headers={"Authorization": f"token {API_KEY}"},
        ) as response:
            return response.status

    async def visit(self, environment_id: str) -> int:
        """Ask an environment through the proxy; give the status."""
        async with self.session.get(f"{self.url}/user/{environment_id}/api") as response:
            await response.read()
            return response.status
