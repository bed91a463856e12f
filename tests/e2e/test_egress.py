"""A template's list of hosts, tried from inside an environment that ``tmpenv serve`` runs."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import docker
import pytest

from tests.components import TINY, require
from tests.outside import Outside, outside_world
from tests.serving import Serving

CONFIG = """
backend = "docker"
[templates.t]
image = "{image}"
memory = "64M"
egress = ["{public}", "{public}:8443", "localhost:{port}"]
[pools.t]
size = 2
"""
#: Fetches as programs do that mind the variables.
FETCH = """\
import sys, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=20).read().decode())
except OSError as error:
    print("failed:", error)
"""
#: Opens a tunnel with the credentials of the variables, and sends through it.
TUNNEL = """\
import base64, os, socket, sys, urllib.parse
proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
known = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
gate = socket.create_connection((proxy.hostname, proxy.port), 5)
head = (f"CONNECT {sys.argv[1]} HTTP/1.1", f"Proxy-Authorization: Basic {known}", "", "")
gate.sendall("\\r\\n".join(head).encode())
answer = gate.recv(9999).decode().split("\\r\\n")[0]
print(answer)
if " 200 " not in answer:
    sys.exit()
gate.sendall(b"through")
print(gate.recv(9999).decode())
"""
#: Goes straight there.
DIRECT = """\
import socket, sys
probe = socket.socket()
probe.settimeout(1)
try:
    probe.connect((sys.argv[1], int(sys.argv[2])))
    print("reached")
except ConnectionRefusedError:
    print("refused")
except OSError as error:
    print("blocked", error)
"""


@pytest.fixture
def world() -> Iterator[Outside]:
    require("docker", "tiny-image", "root", "nft")
    with outside_world() as world:
        yield world


@pytest.fixture
def host_port() -> Iterator[int]:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
async def server(
    directory: Path, docker_instance: str, world: Outside, host_port: int
) -> AsyncIterator[Serving]:
    config = CONFIG.format(image=TINY, public=world.public, port=host_port)
    async with Serving(directory, config, instance=docker_instance) as server:
        await server.until_spares(2, "t")
        yield server


async def run(instance: str, environment_id: str, program: str, *arguments: str) -> str:
    """Run a Python program in an environment's container; give what it printed."""

    def call() -> str:
        client = docker.from_env()
        try:
            container = client.containers.get(f"tmpenv-{instance}-{environment_id}")
            made = container.exec_run(["python3", "-c", program, *arguments])
            printed: bytes = made.output
            return printed.decode()
        finally:
            client.close()

    return await asyncio.to_thread(call)


def gateway(instance: str) -> str:
    client = docker.from_env()
    found = client.networks.get(f"tmpenv-{instance}-listed").attrs["IPAM"]["Config"][0]["Gateway"]
    client.close()
    return str(found)


async def test_listed_hosts_are_reached_and_nothing_else(
    server: Serving, docker_instance: str, world: Outside, host_port: int
) -> None:
    _, body = await server.spawn("t")
    _, other = await server.spawn("t")

    async def inside(program: str, *arguments: str) -> str:
        return await run(docker_instance, body["id"], program, *arguments)

    assert "outside:GET /simple?q=1" in await inside(FETCH, f"http://{world.public}/simple?q=1")
    tunnel = await inside(TUNNEL, f"{world.public}:8443")
    assert tunnel.startswith("HTTP/1.1 200 ")
    assert "outside:through" in tunnel

    for url in (
        f"http://{world.public}:8080/",
        f"http://{world.private}/",
        f"http://{world.metadata}/",
        f"http://{gateway(docker_instance)}:{host_port}/",
    ):
        assert (await inside(FETCH, url)).startswith("failed: HTTP Error 403"), url
    assert (await inside(TUNNEL, f"localhost:{host_port}")).startswith("HTTP/1.1 403 ")
    assert (await inside(TUNNEL, f"{world.private}:80")).startswith("HTTP/1.1 403 ")
    assert "blocked" in await inside(DIRECT, world.public, "80")
    assert "blocked" in await inside(DIRECT, gateway(docker_instance), str(host_port))
    assert await inside(DIRECT, gateway(docker_instance), "3128") == "reached\n"
    log = server.log.read_text()
    assert '"event": "egress.refused"' in log
    assert "q=1" not in log
    assert await server.visit(body["id"]) == await server.visit(other["id"]) == 200


async def test_only_an_environments_own_key_opens_the_way(
    server: Serving, docker_instance: str, world: Outside
) -> None:
    _, first = await server.spawn("t")
    _, second = await server.spawn("t")
    forged = TUNNEL.replace("{proxy.username}", second["id"])

    own = await run(docker_instance, first["id"], TUNNEL, f"{world.public}:80")
    others = await run(docker_instance, first["id"], forged, f"{world.public}:80")

    assert own.startswith("HTTP/1.1 200 ")
    assert others.startswith("HTTP/1.1 407 ")


async def test_while_tmpenv_is_away_nothing_is_let_out_and_afterwards_it_is_again(
    server: Serving, docker_instance: str, world: Outside
) -> None:
    _, body = await server.spawn("t")
    url = f"http://{world.public}/"
    assert "outside:" in await run(docker_instance, body["id"], FETCH, url)

    server.kill()
    away = await run(docker_instance, body["id"], FETCH, url)
    direct = await run(docker_instance, body["id"], DIRECT, world.public, "80")
    await server.start()
    again = await run(docker_instance, body["id"], FETCH, url)

    assert "failed" in away
    assert "blocked" in direct
    assert "outside:" in again
