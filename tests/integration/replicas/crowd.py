"""Visitors who come through a balancer all the time, and remember what failed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp

from tests.waiting import eventually

RESTART = 1012


class Crowd:
    """Reads, writes, launches and WebSockets that come back, at a steady rate."""

    def __init__(self, url: str, path: str) -> None:
        self.counts = dict.fromkeys(("GET", "POST", "launch", "echo"), 0)
        self.failures: list[str] = []
        #: How WebSockets were closed that we had not closed.
        self.closed: list[int | None] = []
        self._url = url
        self._environment = f"{url}{path}"
        self._session: aiohttp.ClientSession

    @asynccontextmanager
    async def inside(self) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._session:
            works = [self._ask, self._ask, self._launch, self._talk, self._talk]
            tasks = [asyncio.create_task(work()) for work in works]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def some_more(self, number: int = 20) -> None:
        """Wait until each kind was done so many times more."""
        before = dict(self.counts)

        async def are_done() -> bool:
            return all(self.counts[kind] >= before[kind] + number for kind in ("GET", "POST"))

        await eventually(are_done, within=60)

    async def _ask(self) -> None:
        while True:
            for method in ("GET", "POST"):
                await self._request(method, method, f"{self._environment}api")
                await asyncio.sleep(0.01)  # a rate, so that both processors are left for the rest

    async def _launch(self) -> None:
        while True:
            launched = await self._request("launch", "POST", f"{self._url}/api/spawn")
            if launched:
                where = f"{self._url}/api/environments/{launched['id']}"
                with suppress(aiohttp.ClientError):
                    await self._session.delete(where)
            await asyncio.sleep(0.3)

    async def _request(self, kind: str, method: str, url: str) -> dict[str, str]:
        body = b"{}" if method == "POST" else None
        try:
            async with self._session.request(method, url, data=body) as answer:
                text = await answer.read()
                # A pool that is full for a moment is no failure of a restart.
                if answer.status >= 400 and answer.status != 429:
                    self.failures.append(f"{kind}: {answer.status} {text[:200]!r}")
                self.counts[kind] += 1
                is_found = kind == "launch" and answer.status == 200
                return await answer.json() if is_found else {}
        except (aiohttp.ClientError, OSError) as error:
            self.failures.append(f"{kind}: {error!r}")
            return {}

    async def _talk(self) -> None:
        """Talk until it is closed with 1012, as ever in a restart, and come back at once."""
        while True:
            try:
                async with self._session.ws_connect(f"{self._environment}ws") as socket:
                    while not socket.closed:
                        # The close may have arrived and not been read yet.
                        with suppress(aiohttp.ClientConnectionResetError):
                            await socket.send_str("x")
                        answer = await socket.receive()
                        if answer.type is not aiohttp.WSMsgType.TEXT:
                            # Not socket.close_code: that is 1006 if its reply comes too late.
                            is_told = answer.type is aiohttp.WSMsgType.CLOSE
                            self.closed.append(answer.data if is_told else socket.close_code)
                            break
                        self.counts["echo"] += 1
                        await asyncio.sleep(0.05)
            except (aiohttp.ClientError, OSError) as error:
                self.failures.append(f"WebSocket: {error!r}")
