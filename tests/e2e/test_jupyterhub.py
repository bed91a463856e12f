"""An unmodified JupyterHub runs on ``tmpenv proxy``, and gets over its restart."""

import asyncio
import json
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.command import variables
from tests.components import HUB, require
from tests.serving import COMMAND, free_port
from tests.waiting import eventually

TOKEN = "the-token-of-proxy-and-hub"
SCRIPT = {"Authorization": f"token {TOKEN}-script"}
USER = "ada@example"
CONFIG = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.DummyAuthenticator.password = "open"
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{directory}/home-{{username}}"
c.Spawner.cmd = ["{singleuser}"]
c.Spawner.args = ["--allow-root"]
c.Spawner.environment = {{"JUPYTERHUB_SINGLEUSER_APP": "jupyter_server.serverapp.ServerApp"}}
c.Spawner.default_url = "/api"
c.JupyterHub.last_activity_interval = 1  # seconds, between looks at the proxy's routes
c.JupyterHub.services = [{{"name": "script", "api_token": "{token}-script"}}]
c.JupyterHub.load_roles = [
    {{"name": "script", "services": ["script"], "scopes": ["servers"]}}
]
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.auth_token = "{token}"
"""


class Site:
    """A hub and its proxy, each a process, and a user's browser."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, self.hub_port, self.api_port = free_port(), free_port(), free_port()
        self.url = URL(f"http://127.0.0.1:{self.port}")
        self.user = URL(f"{self.url}/user/{USER}/", encoded=True)
        self.home = directory / f"home-{USER}"
        self.proxy: subprocess.Popen[bytes]
        self.hub: subprocess.Popen[bytes]

    def start_proxy(self) -> None:
        addresses = ["--ip", "127.0.0.1", "--port", str(self.port)]
        addresses += ["--api-port", str(self.api_port)]
        pages = f"http://127.0.0.1:{self.hub_port}/hub/error"
        with (self.directory / "proxy.log").open("ab") as log:
            self.proxy = subprocess.Popen(
                [COMMAND, "proxy", *addresses, "--error-target", pages],
                stdout=log,
                stderr=log,
                env=variables(CONFIGPROXY_AUTH_TOKEN=TOKEN),
            )

    def start_hub(self) -> None:
        config = self.directory / "jupyterhub_config.py"
        config.write_text(
            CONFIG.format(
                port=self.port,
                hub_port=self.hub_port,
                api_port=self.api_port,
                directory=self.directory,
                singleuser=HUB.with_name("jupyterhub-singleuser"),
                token=TOKEN,
            )
        )
        with (self.directory / "hub.log").open("ab") as log:
            self.hub = subprocess.Popen(
                [HUB, "--config", config], cwd=self.directory, stdout=log, stderr=log
            )

    async def end(self, process: "subprocess.Popen[bytes]") -> None:
        process.terminate()
        await asyncio.to_thread(process.wait, 30)

    async def routes(self) -> dict[str, Any]:
        headers = {"Authorization": f"token {TOKEN}"}
        url = f"http://127.0.0.1:{self.api_port}/api/routes"
        try:
            async with self.browser.get(url, headers=headers) as answer:
                found: dict[str, Any] = await answer.json()
                return found
        except aiohttp.ClientError:
            return {}

    async def has_hub(self) -> bool:
        assert self.hub.poll() is None, (self.directory / "hub.log").read_text()
        return "/" in await self.routes()

    async def has_user(self) -> bool:
        return f"/user/{USER}" in await self.routes()

    def xsrf(self, url: URL) -> str:
        return self.browser.cookie_jar.filter_cookies(url)["_xsrf"].value

    async def log_in(self) -> None:
        login = self.url / "hub" / "login"
        async with self.browser.get(login) as form:
            assert form.status == 200, await form.text()
        sent = {"username": USER, "password": "open", "_xsrf": self.xsrf(login)}
        async with self.browser.post(login, data=sent, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()

    async def is_in(self) -> bool:
        """Open a file on the server as a browser does, through all of the hub's redirects."""
        async with self.browser.get(self.user / "files" / "hello.txt") as answer:
            return answer.status == 200 and await answer.text() == "hello"

    async def start_kernel(self) -> str:
        """Start a kernel as the user's page does, by their login alone."""
        url = self.user / "api" / "kernels"
        headers = {"X-XSRFToken": self.xsrf(self.user)}
        async with self.browser.post(url, headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            return str((await answer.json())["id"])

    async def run(self, kernel: str, code: str) -> str:
        """Run a cell over a WebSocket, as the page does; give what it prints."""
        url = self.user / "api" / "kernels" / kernel / "channels"
        headers = {"Origin": str(self.url), "Sec-Fetch-Mode": "websocket"}
        request = uuid.uuid4().hex
        header = {"msg_id": request, "msg_type": "execute_request", "session": uuid.uuid4().hex,
                  "username": "", "version": "5.3", "date": ""}  # fmt: skip
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {},
                   "allow_stdin": False, "stop_on_error": True}  # fmt: skip
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {},
                   "content": content, "buffers": []}  # fmt: skip
        async with asyncio.timeout(60), self.browser.ws_connect(url, headers=headers) as channel:
            await channel.send_json(message)
            async for received in channel:
                told = json.loads(received.data)
                is_ours = told["parent_header"].get("msg_id") == request
                if is_ours and told["msg_type"] == "stream":
                    return str(told["content"]["text"])
        raise AssertionError("the kernel hung up")


@pytest.fixture
async def site(directory: Path) -> AsyncIterator[Site]:
    require("jupyterhub")
    async with running(Site(directory)) as site:
        yield site


@asynccontextmanager
async def running(site: Site) -> AsyncIterator[Site]:
    jar = aiohttp.CookieJar(unsafe=True, quote_cookie=False)
    async with aiohttp.ClientSession(cookie_jar=jar) as site.browser:
        site.start_proxy()
        site.start_hub()
        try:
            await eventually(site.has_hub, within=60)
            yield site
        finally:
            await site.end(site.hub)
            await site.end(site.proxy)


async def test_8_20_a_user_works_through_the_proxy_and_its_restart(site: Site) -> None:
    await site.log_in()
    site.home.mkdir()
    (site.home / "hello.txt").write_text("hello")
    async with site.browser.get(site.url / "hub" / "spawn") as answer:
        assert answer.status == 200, await answer.text()
    await eventually(site.has_user, within=60)
    await eventually(site.is_in, within=30, every=0.5)

    kernel = await site.start_kernel()
    assert await site.run(kernel, "kept = 6 * 7; print(kept)") == "42\n"

    await site.end(site.proxy)
    site.start_proxy()
    await eventually(site.has_user, within=60)

    assert (await site.routes()).keys() == {"/", f"/user/{USER}"}
    assert await site.is_in()  # by the login from before
    assert await site.run(kernel, "print(kept + 1)") == "43\n"

    stop = site.url / "hub" / "api" / "users" / USER / "server"
    async with site.browser.delete(stop, headers=SCRIPT) as answer:
        assert answer.status in (202, 204), await answer.text()

    async def is_gone() -> bool:
        return not await site.has_user()

    await eventually(is_gone, within=30)
    async with site.browser.get(site.user / "api") as answer:
        assert answer.status == 424  # the hub's own word for a server that does not run
