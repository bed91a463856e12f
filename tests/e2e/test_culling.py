"""Who is culled and who is not, with real JupyterLab and its real kernels."""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from tests.components import require
from tests.e2e.browser import is_in_lab, open_browser
from tests.serving import PERL, TINY_SERVER, Serving
from tests.waiting import eventually

IDLE_S = 4.0
CONFIG = """
backend = "process"
on_exit = "stop"
[culling]
interval = "100ms"
idle_timeout = "{idle_s}s"
[proxy]
drain_timeout_s = 0.5
"""
JUPYTER = CONFIG + "[pools.jupyter]\nsize = 2\nspare = 1\n"
TINY = (
    CONFIG
    + """
[templates.t]
stop_grace = "0s"
command = ["{perl}", "{tiny}"]
[pools.t]
size = 4
spare = 2
"""
)
POLLS = ("api/status", "api/kernels", "api/sessions", "api/terminals", "api/me")


@pytest.fixture
async def jupyter(directory: Path) -> AsyncIterator[Serving]:
    require("jupyterlab")
    async with Serving(directory, JUPYTER.format(idle_s=IDLE_S)) as server:
        await server.until_spares(1, "jupyter")
        yield server


class Notebook:
    """A visitor with a kernel, as a page keeps one: a WebSocket that answers pings."""

    def __init__(self, server: Serving, environment_id: str) -> None:
        self._server = server
        self._base = f"{server.url}/user/{environment_id}"
        self.id = environment_id
        #: Why and when the connection ended.
        self.close_code: int | None = None
        self.ended_at = 0.0
        self._states: asyncio.Queue[str] = asyncio.Queue()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Notebook"]:
        """Start a kernel and connect to it."""
        async with self._server.session.post(f"{self._base}/api/kernels") as response:
            assert response.status == 201, await response.text()
            kernel = (await response.json())["id"]
        url = f"{self._base}/api/kernels/{kernel}/channels"
        # The heartbeat sends pings besides the pongs.
        async with self._server.session.ws_connect(url, heartbeat=0.5) as self._socket:
            listening = asyncio.create_task(self._listen())
            try:
                yield self
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)

    async def run(self, code: str) -> float:
        """Run a cell and wait until the kernel is busy with it; give the time of sending."""
        header = {
            "msg_id": uuid.uuid4().hex,
            "session": uuid.uuid4().hex,
            "username": "",
            "msg_type": "execute_request",
            "version": "5.3",
        }
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        await self._socket.send_str(json.dumps({**message, "channel": "shell", "buffers": []}))
        sent = asyncio.get_running_loop().time()
        await self.until(header["msg_id"], "busy")
        self._message = header["msg_id"]
        return sent

    async def until_done(self) -> float:
        """Wait until the last cell is done; give the time."""
        await self.until(self._message, "idle")
        return asyncio.get_running_loop().time()

    async def until(self, message: str, state: str) -> None:
        while await self._states.get() != f"{message} {state}":
            pass

    async def until_closed(self, within: float = 40) -> float:
        """Wait until the connection has been closed; give the time."""

        async def is_closed() -> bool:
            return self.close_code is not None

        await eventually(is_closed, within=within)
        return self.ended_at

    async def _listen(self) -> None:
        async for message in self._socket:
            heard = json.loads(message.data)
            if heard["header"]["msg_type"] == "status":
                of, state = heard["parent_header"].get("msg_id"), heard["content"]
                self._states.put_nowait(f"{of} {state['execution_state']}")
        self.ended_at = asyncio.get_running_loop().time()
        self.close_code = self._socket.close_code


async def poll(server: Serving, environment_id: str) -> None:
    """Ask what an open page keeps asking, until cancelled or gone."""
    while True:
        for path in POLLS:
            url = f"{server.url}/user/{environment_id}/{path}?{uuid.uuid4().hex}"
            async with server.session.get(url) as response:
                assert response.status in {200, 410}, f"{path} {response.status}"
        await asyncio.sleep(0.1)


@asynccontextmanager
async def polling(server: Serving, environment_id: str) -> AsyncIterator[None]:
    task = asyncio.create_task(poll(server, environment_id))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def launch(server: Serving, template: str) -> str:
    status, body = await server.spawn(template)
    assert status == 200, body
    return str(body["id"])


async def reason(server: Serving, environment_id: str) -> str:
    async with server.session.get(f"{server.url}/api/environments/{environment_id}") as response:
        return str((await response.json())["reason"])


async def test_an_open_page_that_only_polls_and_pings_is_culled_with_1001(
    jupyter: Serving,
) -> None:
    notebook = Notebook(jupyter, await launch(jupyter, "jupyter"))
    async with notebook.connected(), polling(jupyter, notebook.id):
        sent = await notebook.run("6 * 7")

        closed = await notebook.until_closed()

        assert notebook.close_code == aiohttp.WSCloseCode.GOING_AWAY
        assert closed - sent >= IDLE_S
        assert await jupyter.visit(notebook.id) == 410
        assert await reason(jupyter, notebook.id) == "idle"


async def test_an_open_tab_of_jupyterlab_that_nobody_touches_is_culled(directory: Path) -> None:
    require("jupyterlab")
    # Longer than the time between two polls of the page, which is 10 s.
    async with Serving(directory, JUPYTER.format(idle_s=13)) as server, open_browser() as browser:
        await server.until_spares(1, "jupyter")
        page = await browser.new_page()
        await page.goto(f"{server.url}/launch/jupyter")
        environment_id = await is_in_lab(page)

        async def is_culled() -> bool:
            return await reason(server, environment_id) == "idle"

        await eventually(is_culled, within=30, every=0.2)


async def test_a_kernel_that_works_is_not_culled_until_it_has_been_idle_too(
    jupyter: Serving,
) -> None:
    notebook = Notebook(jupyter, await launch(jupyter, "jupyter"))
    async with notebook.connected(), polling(jupyter, notebook.id):
        await notebook.run(f"import time; time.sleep({2 * IDLE_S})")
        done = await notebook.until_done()

        # It was unused for twice the time, and is there.
        assert notebook.close_code is None
        closed = await notebook.until_closed()

        assert closed - done >= IDLE_S * 0.9
        assert await reason(jupyter, notebook.id) == "idle"


async def test_an_old_spare_is_not_idle_when_it_is_handed_out(directory: Path) -> None:
    require("perl")
    loop = asyncio.get_running_loop()
    config = TINY.format(idle_s=1.5, perl=PERL, tiny=TINY_SERVER)
    async with Serving(directory, config) as server:
        await server.until_spares(2, "t")
        spares = {one["id"] for one in (await server.status())["environments"]}
        warm = loop.time()

        async def is_old() -> bool:
            return loop.time() - warm > 3

        await eventually(is_old)
        assert {one["id"] for one in (await server.status())["environments"]} == spares
        handed_out = loop.time()
        old = await launch(server, "t")
        assert old in spares

        async def is_culled() -> bool:
            return await reason(server, old) == "idle"

        await eventually(is_culled)
        assert loop.time() - handed_out >= 1.5


async def test_at_the_moment_of_the_decision_a_request_gets_its_environment_or_410(
    directory: Path,
) -> None:
    """Many environments, each asked again and again just before or just after its deadline."""
    require("perl")
    chance = random.Random(2026)
    idle_s = 1.0
    config = TINY.format(idle_s=idle_s, perl=PERL, tiny=TINY_SERVER).replace(
        "size = 4", "size = 40"
    )
    async with Serving(directory, config.replace("spare = 2", "spare = 30")) as server:
        await server.until_spares(30, "t")
        sessions = await asyncio.gather(*(launch(server, "t") for _ in range(30)))

        async def visit(session: str) -> list[int]:
            answers: list[int] = []
            while answers[-3:] != [410] * 3 and len(answers) < 30:
                await asyncio.sleep(idle_s + chance.uniform(-0.05, 0.2))
                # A burst, so that one of them is under way whenever it is decided.
                answers += [await server.visit(session) for _ in range(3)]
            return answers

        seen = await asyncio.gather(*map(visit, sessions))

        for answers in seen:
            assert set(answers) <= {200, 410}, answers
            # Once gone, it is gone for good.
            assert answers == sorted(answers), answers
        assert {200, 410} == {status for answers in seen for status in answers}
