"""A real Prometheus for tests, with our rules, in a hurry."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from tests.serving import free_port
from tests.waiting import eventually

DEPLOY = Path(__file__).parents[1] / "deploy" / "prometheus"


class Prometheus:
    """Scrapes a tmpenv as deploy/prometheus says, but five times a second."""

    def __init__(self, directory: Path, metrics_port: int) -> None:
        self._directory = directory
        self._url = f"http://127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None
        config = (DEPLOY / "prometheus.yml").read_text()
        config = re.sub(r"(_interval): \w+", r"\1: 200ms", config)
        self._config = directory / "prometheus.yml"
        self._config.write_text(config.replace("127.0.0.1:8002", f"127.0.0.1:{metrics_port}"))
        rules = (DEPLOY / "tmpenv.rules.yml").read_text()
        # What an alert waits for is shown by promtool, which has a clock of its own.
        (directory / "tmpenv.rules.yml").write_text(re.sub(r"for: \w+", "for: 0s", rules))

    async def __aenter__(self) -> Self:
        with (self._directory / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("prometheus", f"--config.file={self._config}"),
                    f"--storage.tsdb.path={self._directory / 'series'}",
                    f"--web.listen-address={self._url.removeprefix('http://')}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._session = aiohttp.ClientSession()
        await eventually(self._is_ready, within=30, every=0.1)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(15)
        await self._session.close()

    async def ask(self, expression: str) -> list[dict[str, Any]]:
        """Give the series that an expression finds at this moment."""
        found = await self._get("query", query=expression)
        return list(found["data"]["result"])

    async def values(self, expression: str) -> list[float]:
        """Give their values."""
        return [float(one["value"][1]) for one in await self.ask(expression)]

    async def firing(self) -> Sequence[dict[str, str]]:
        """Give the labels of the alerts that fire."""
        alerts = (await self._get("alerts"))["data"]["alerts"]
        return [one["labels"] for one in alerts if one["state"] == "firing"]

    async def _get(self, path: str, **query: str) -> Any:
        async with self._session.get(f"{self._url}/api/v1/{path}", params=query) as response:
            answer = await response.json()
            assert response.status == 200, (query, answer)
            return answer

    async def _is_ready(self) -> bool:
        assert self._process is not None
        log = self._directory / "prometheus.log"
        assert self._process.poll() is None, log.read_text()
        try:
            async with self._session.get(f"{self._url}/-/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False
