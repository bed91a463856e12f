"""tmpenv behind nginx and Caddy with the files of deploy/: TLS, WebSockets, streams, addresses."""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from tests.command import ROOT
from tests.components import require
from tests.serving import Serving, free_port
from tests.waiting import eventually

SITE = "tmpenv.example.org"
DOMAIN = "envs.example.org"
#: An environment that echoes, streams, and tells what it was asked with.
ENVIRONMENT = """
import asyncio, os
from aiohttp import web
base, go = os.environ["TMPENV_BASE_PATH"], asyncio.Event()
async def headers(request):
    return web.json_response({key.lower(): value for key, value in request.headers.items()})
async def echo(request):
    channel = web.WebSocketResponse()
    await channel.prepare(request)
    async for message in channel:
        await channel.send_str(message.data)
    return channel
async def stream(request):
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    await answer.write(b"data: first\\n\\n")
    await go.wait()
    await answer.write(b"data: last\\n\\n")
    return answer
async def release(request):
    go.set()
    return web.Response()
app = web.Application()
app.add_routes([web.get(base + "api", headers), web.get(base + "echo", echo),
                web.get(base + "stream", stream), web.post(base + "go", release)])
web.run_app(app, host=os.environ["TMPENV_IP"], port=int(os.environ["TMPENV_PORT"]), print=None)
"""
CONFIG = f"""
backend = "process"
environments_domain = "{DOMAIN}"
on_exit = "stop"
[proxy]
trusted_proxies = ["127.0.0.1/32"]
[templates.demo]
command = [{json.dumps(sys.executable)}, "-c", {json.dumps(ENVIRONMENT)}]
stop_grace = "100ms"
[pools.demo]
size = 3
spare = 1
"""
_NGINX = """
daemon off;
{user}
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/temp;
    proxy_temp_path {directory}/temp;
    fastcgi_temp_path {directory}/temp;
    uwsgi_temp_path {directory}/temp;
    scgi_temp_path {directory}/temp;
    include {directory}/tmpenv.conf;
}}
"""
_CADDY = """{{
	admin off
	default_bind 127.0.0.1
	http_port {plain}
	https_port {secure}
	storage file_system {directory}/caddy
}}
"""


class EverythingHere(AbstractResolver):
    """Finds every name at this machine's loopback address."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = ResolveResult(
            hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=0, flags=0
        )
        return [found]

    async def close(self) -> None:
        pass


def certificate(directory: Path) -> None:
    names = f"subjectAltName=DNS:{SITE},DNS:*.{DOMAIN}"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    subprocess.run(
        [*command.split(), "-subj", f"/CN={SITE}", "-addext", names,
         "-keyout", directory / "privkey.pem", "-out", directory / "fullchain.pem"],
        check=True,
        capture_output=True,
    )  # fmt: skip


def written(shipped: str, **replaced: str) -> str:
    """Give a shipped file with addresses and places of this test; each must be in it."""
    text = (ROOT / "deploy" / shipped).read_text()
    for old, new in replaced.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(directory: Path, *, upstream: str, plain: int, secure: int) -> list[str]:
    changes = {
        "127.0.0.1:8000": upstream,
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{secure} ssl;",
        "/etc/ssl/tmpenv": str(directory),
    }
    (directory / "tmpenv.conf").write_text(written("nginx/tmpenv.conf", **changes))
    user = "user root;" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(_NGINX.format(directory=directory, user=user))
    return ["nginx", "-c", f"{directory}/nginx.conf", "-p", str(directory)]


def caddy(directory: Path, *, upstream: str, plain: int, secure: int) -> list[str]:
    changes = {"127.0.0.1:8000": upstream, "/etc/ssl/tmpenv": str(directory)}
    head = _CADDY.format(directory=directory, plain=plain, secure=secure)
    (directory / "Caddyfile").write_text(head + written("caddy/Caddyfile", **changes))
    return ["caddy", "run", "--config", f"{directory}/Caddyfile", "--adapter", "caddyfile"]


KINDS = {"nginx": nginx, "caddy": caddy}


class Front:
    """A proxy that speaks TLS, and a visitor who comes by it."""

    def __init__(self, plain: int, secure: int, session: aiohttp.ClientSession) -> None:
        self.plain = f"http://{SITE}:{plain}"
        self.secure = f"https://{SITE}:{secure}"
        self.port = secure
        self.session = session

    async def spawned(self) -> Any:
        async def launched() -> Any:
            async with self.session.post(f"{self.secure}/api/spawn") as response:
                return await response.json() if response.status == 200 else None

        return await eventually(launched, within=30, every=0.1)


@pytest.fixture(params=sorted(KINDS))
async def front(request: pytest.FixtureRequest, directory: Path) -> AsyncIterator[Front]:
    require(request.param, "openssl", "redis-server")
    certificate(directory)
    plain, secure = free_port(), free_port()
    trust = ssl.create_default_context(cafile=directory / "fullchain.pem")
    connector = aiohttp.TCPConnector(resolver=EverythingHere(), ssl=trust)
    async with (
        Serving(directory, CONFIG) as serving,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        upstream = serving.url.removeprefix("http://")
        command = KINDS[request.param](directory, upstream=upstream, plain=plain, secure=secure)
        with (directory / "front.log").open("w") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, "HOME": str(directory)}
            )
        found = Front(plain, secure, session)

        async def answers() -> bool:
            assert process.poll() is None, (directory / "front.log").read_text()
            try:
                async with session.get(f"{found.secure}/healthz") as response:
                    return response.status == 200
            except aiohttp.ClientError:
                return False

        try:
            await eventually(answers, within=30, every=0.1)
            yield found
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 30)


async def test_the_page_is_there_and_plain_http_is_led_to_it(front: Front) -> None:
    async with front.session.get(f"{front.secure}/", headers={"Accept": "text/html"}) as page:
        assert page.status == 200
        assert "demo" in await page.text()

    async with front.session.get(f"{front.plain}/x", allow_redirects=False) as led:
        assert led.status in (301, 308)
        assert led.headers["Location"].startswith(f"https://{SITE}")


async def test_links_are_secure_and_lead_to_the_environments_own_host(front: Front) -> None:
    body = await front.spawned()

    host = f"{body['id']}.{DOMAIN}:{front.port}"
    assert body["base_url"] == f"https://{host}{body['url']}"
    assert body["ws_url"] == f"wss://{host}{body['url']}"
    async with front.session.get(body["base_url"] + "api") as response:
        assert response.status == 200


async def test_an_environment_is_told_who_came_whatever_they_claim(front: Front) -> None:
    body = await front.spawned()
    claimed = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}

    async with front.session.get(body["base_url"] + "api", headers=claimed) as response:
        seen = await response.json()

    assert "203.0.113.9" not in seen["x-forwarded-for"]
    assert seen["x-forwarded-for"].split(",")[0].strip() == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "https"
    assert seen["x-forwarded-host"] == f"{body['id']}.{DOMAIN}:{front.port}"


async def test_a_websocket_goes_through(front: Front) -> None:
    body = await front.spawned()

    async with front.session.ws_connect(body["ws_url"] + "echo") as channel:
        await channel.send_str("hello")

        assert await channel.receive_str(timeout=10) == "hello"


async def test_what_an_environment_sends_arrives_before_its_answer_ends(front: Front) -> None:
    body = await front.spawned()

    async with asyncio.timeout(20), front.session.get(body["base_url"] + "stream") as response:
        assert await response.content.readline() == b"data: first\n"

        async with front.session.post(body["base_url"] + "go") as released:
            assert released.status == 200
        assert (await response.content.read()).endswith(b"data: last\n\n")
