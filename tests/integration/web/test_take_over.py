"""A tmpenv that takes the port over from another: no request fails."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from proxy.handover import take_over
from proxy.sockets import close
from tests.command import run
from tests.integration.chp.rig import Rig, Started, proxying, url_of
from tests.integration.proxy.kit import get, status
from tests.redis_server import RedisServer
from tests.serving import PERL, TINY_SERVER, Serving
from tests.waiting import eventually

CONFIG = f"""
backend = "process"
[templates.tiny]
command = ["{PERL}", "{TINY_SERVER}"]
stop_grace = "100ms"
[pools.tiny]
size = 4
spare = 1
"""


class Visitors:
    """Ask all the time, on connections that are kept and on new ones; remember what failed."""

    def __init__(self, url: str) -> None:
        self.answered = 0
        self.failures: list[str] = []
        self._url = url

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as kept:
            tasks = [asyncio.create_task(self._ask_on(kept)) for _ in range(8)]
            tasks += [asyncio.create_task(self._ask_anew()) for _ in range(4)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def some_more(self, number: int = 200) -> None:
        enough = self.answered + number

        async def are_there() -> bool:
            return self.answered >= enough

        await eventually(are_there)

    async def _ask_on(self, session: aiohttp.ClientSession) -> None:
        while True:
            # A POST is never sent twice, so a lost one is seen.
            await self._ask(session, "POST")
            await self._ask(session, "GET")

    async def _ask_anew(self) -> None:
        while True:
            async with aiohttp.ClientSession() as session:
                await self._ask(session, "POST")

    async def _ask(self, session: aiohttp.ClientSession, method: str) -> None:
        try:
            async with session.request(method, self._url) as answer:
                await answer.read()
                if answer.status >= 400:
                    self.failures.append(str(answer.status))
        except (aiohttp.ClientError, OSError) as error:
            self.failures.append(repr(error))
        self.answered += 1


@pytest.mark.parametrize(("before", "after"), [(1, 1), (3, 2), (1, 3)])
async def test_no_request_fails_while_the_port_goes_from_one_to_another(
    tmp_path: Path, redis_server: RedisServer, instance: str, before: int, after: int
) -> None:
    kept = ("--redis-url", redis_server.url, "--instance", instance)
    async with proxying(tmp_path, *kept, "--proxy-workers", str(before)) as rig:
        await rig.put("/x", url_of(await rig.server()))
        visitors = Visitors(f"http://127.0.0.1:{rig.port}/x/")
        async with visitors.asking():
            for _ in range(3):
                await visitors.some_more()
                leaver = rig.started
                rig.started = await following(rig, tmp_path, *kept, "--proxy-workers", str(after))
                await visitors.some_more()
                assert await asyncio.to_thread(leaver.process.wait, 60) == 0

    assert not visitors.failures


async def following(rig: Rig, directory: Path, *flags: str) -> Started:
    """Start one that follows; return when the former one leaves."""
    leaver, follower = rig.started, Started(directory, *flags, "--take-over", like=rig.started)

    async def has_followed() -> bool:
        assert follower.process.poll() is None, follower.log.read_text()
        return "Draining" in leaver.log.read_text()

    await eventually(has_followed)
    return follower


async def test_environments_and_pools_go_over_to_the_next(
    tmp_path: Path, redis_server: RedisServer, instance: str
) -> None:
    shared = f'redis_url = "{redis_server.url}"\non_exit = "stop"\n{CONFIG}'
    async with AsyncExitStack() as stack:
        leaver = await stack.enter_async_context(Serving(tmp_path, shared, instance=instance))
        await leaver.until_spares(1, "tiny")
        _, launched = await leaver.spawn("tiny")
        visitors = Visitors(f"{leaver.url}{launched['url']}api")
        async with visitors.asking():
            await visitors.some_more()
            follower = Serving(
                tmp_path, f"take_over = true\n{shared}", instance=instance, name="next",
                port=leaver.port,
            )  # fmt: skip
            await stack.enter_async_context(follower)
            assert await leaver.ended() == 0
            await visitors.some_more()
            assert (await follower.spawn("tiny"))[0] == 200

    assert not visitors.failures


async def test_without_anybody_to_follow_the_port_is_opened(tmp_path: Path) -> None:
    async with proxying(tmp_path, "--take-over") as rig:
        assert status((await rig.ask(get("/x/")))[0]) == 404


async def test_a_port_of_somebody_else_is_not_taken_over(tmp_path: Path) -> None:
    other = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    async with other:
        port = str(other.sockets[0].getsockname()[1])
        flags = ("--ip", "127.0.0.1", "--port", port, "--take-over")

        ended = await asyncio.to_thread(run, "proxy", *flags, CONFIGPROXY_AUTH_TOKEN="x")

    assert ended.returncode == 1
    assert "is taken by another program" in ended.stderr


async def test_who_dies_before_it_serves_takes_nothing_over(tmp_path: Path) -> None:
    async with proxying(tmp_path) as rig:
        await rig.put("/x", url_of(await rig.server()))
        for _ in range(2):
            taken = await asyncio.to_thread(take_over, rig.port)
            assert taken is not None
            (listeners,) = taken.places(1)
            assert [one.getsockname()[1] for one in listeners] == [rig.port]

            taken.close()
            close([listeners])

            assert [status((await rig.ask(get("/x/")))[0]) for _ in range(8)] == [200] * 8
