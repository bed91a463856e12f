"""What a group of tests needs from the machine, asked for in one place.

A group whose component is missing is skipped with its reason on a laptop, and
is an error where ``CI=true``: there nothing may be silently left out.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException, ImageNotFound

from spawner.builder.docker_cli import find_cli
from spawner.builder.settings import BuildSettings
from spawner.errors import BuildFailed
from spawner.store.embedded import EmbeddedRedisError, find_server

TINY = "tmpenv-test/tiny"
JUPYTER = "tmpenv-test/jupyter"
#: tmpenv itself, by the Dockerfile at the root.
SERVICE = "tmpenv-test/service"
#: In a virtual environment of its own: nothing of ours is beside it.
HUB = Path(sys.prefix) / "hub" / "bin" / "jupyterhub"
#: Of npm; tests/provision/provision.sh puts it there.
CHP = Path(sys.prefix) / "chp" / "node_modules" / ".bin" / "configurable-http-proxy"
#: Of npm as well, as it was published.
BINDER_CLIENT = Path(sys.prefix) / "binder-client" / "node_modules"
#: Users other than root seldom have the system's directories on their path.
_SYSTEM = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _daemon() -> str:
    try:
        client = docker.from_env(timeout=10)
    except (DockerException, OSError) as error:
        return f"no Docker daemon answers ({error})"
    client.close()
    return ""


def _buildkit() -> str:
    if reason := why_missing("docker"):
        return reason
    try:
        # In a thread: whoever asks may have a loop of their own.
        with ThreadPoolExecutor(1) as threads:
            threads.submit(asyncio.run, find_cli(BuildSettings())).result()
    except BuildFailed as error:
        return str(error)
    return ""


def _image(name: str) -> Callable[[], str]:
    def missing() -> str:
        if reason := why_missing("docker"):
            return reason
        client = docker.from_env(timeout=10)
        try:
            client.images.get(name)
        except ImageNotFound:
            return f"there is no image {name}; run tests/provision/provision.sh as root"
        finally:
            client.close()
        return ""

    return missing


def _command(*names: str) -> Callable[[], str]:
    def missing() -> str:
        found = any(shutil.which(name) for name in names)
        return "" if found else f"there is no {' or '.join(names)} on PATH"

    return missing


def _redis() -> str:
    try:
        find_server()
    except EmbeddedRedisError as error:
        return str(error)
    return ""


def _jupyterlab() -> str:
    # Where environments look for it: beside the interpreter, then on PATH.
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return "" if shutil.which("jupyter-lab", path=places) else "jupyter-lab is not installed"


def _jupyterhub() -> str:
    return "" if HUB.exists() else "there is no JupyterHub for tests; run make .venv/.hub"


def _chp() -> str:
    if reason := _command("node")():
        return reason
    return "" if CHP.exists() else f"there is no {CHP}; run tests/provision/provision.sh"


def _binder_client() -> str:
    if reason := _command("node")():
        return reason
    is_there = (BINDER_CLIENT / ".bin" / "binder").exists()
    return "" if is_there else f"there is no {BINDER_CLIENT}; run tests/provision/provision.sh"


def _btrfs() -> str:
    if reason := _command("mkfs.btrfs")():
        return reason
    # Where it is a module, the first mount loads it.
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "btrfs"], check=False, capture_output=True)
    known = Path("/proc/filesystems").read_text()
    return "" if "btrfs" in known else "this kernel has no btrfs"


_PROBES: dict[str, Callable[[], str]] = {
    "docker": _daemon,
    "buildkit": _buildkit,
    "tiny-image": _image(TINY),
    "jupyter-image": _image(JUPYTER),
    "service-image": _image(SERVICE),
    "caddy": _command("caddy"),
    "docker-compose": _command("docker-compose"),
    "systemd-analyze": _command("systemd-analyze"),
    "dockerd": _command("dockerd"),
    "redis-server": _redis,
    "docker-registry": _command("docker-registry"),
    "chromium": _command("chromium", "chromium-browser", "google-chrome"),
    "jupyterlab": _jupyterlab,
    "jupyterhub": _jupyterhub,
    "nginx": _command("nginx"),
    "haproxy": _command("haproxy"),
    "chp": _chp,
    "binder-client": _binder_client,
    "curl": _command("curl"),
    "wrk": _command("wrk"),
    "btrfs": _btrfs,
    "prometheus": _command("prometheus"),
    "promtool": _command("promtool"),
    "git": _command("git"),
    "perl": _command("perl"),
    "nft": lambda: "" if shutil.which("nft", path=_SYSTEM) else "nft is not installed",
    "openssl": _command("openssl"),
    "setpriv": _command("setpriv"),
    "root": lambda: "" if os.geteuid() == 0 else "these tests need root",
}


@cache
def why_missing(component: str) -> str:
    """Say why a component cannot be used; empty if it can."""
    return _PROBES[component]()


def require(*components: str) -> None:
    """Skip the running test, or fail it where ``CI=true``, unless all components are there."""
    for component in components:
        if reason := why_missing(component):
            text = f"{component}: {reason}"
            if os.environ.get("CI") == "true":
                pytest.fail(text, pytrace=False)
            pytest.skip(text)
