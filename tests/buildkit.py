"""Build plans for real, with BuildKit alone, and look into the images that come of them."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from spawner.builder.model import Plan
from spawner.builder.planning import planner_for
from spawner.builder.settings import BuildSettings
from tests.components import JUPYTER

_USUAL = "/etc/ssl/certs/ca-certificates.crt"


def machine() -> dict[str, object]:
    """Give the settings with which builds reach what this machine reaches (images/build.sh)."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    pip = dict(re.findall(r"^(?:global|install|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    named = [pip.get("cert"), *map(os.environ.get, ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")), _USUAL]
    settings: dict[str, object] = {
        "base_images": {"3": JUPYTER},
        "ca_bundle": next((file for file in named if file and Path(file).is_file()), None),
        "pip_index_url": pip.get("index-url"),
    }
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        settings[name] = os.environ.get(name) or os.environ.get(name.upper()) or ""
    return {name: value for name, value in settings.items() if value}


def as_toml(settings: dict[str, object]) -> str:
    """Write settings of builds as the end of a configuration."""
    tables = {key: one for key, one in settings.items() if isinstance(one, dict)}
    lines = ["[build]"]
    lines += [f"{key} = {_toml(one)}" for key, one in settings.items() if key not in tables]
    for key, table in tables.items():
        lines += [f"[build.{key}]", *(f'"{name}" = {_toml(one)}' for name, one in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    return json.dumps(str(value) if isinstance(value, Path) else value)


def index_of_pip() -> str:
    """Give the index that pip asks on this machine."""
    asked = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    usual = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True
    )
    return str(machine().get("pip_index_url", usual.stdout.strip()))


class Workshop:
    """Plans and builds directories; ``close`` removes the images."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._images: list[str] = []
        #: What the last plan told.
        self.told: list[str] = []

    def plan(self, directory: Path, **settings: object) -> Plan:
        """Plan a build with this machine's settings, and these instead."""
        workspace = self._scratch / uuid.uuid4().hex
        workspace.mkdir()
        self.told = []
        planner = planner_for(BuildSettings.model_validate(machine() | settings))
        return planner.plan(directory, workspace, (), self.told.append)

    def build(self, plan: Plan) -> tuple[str, str]:
        """Build a plan; give the image and what was printed.

        Raises:
            subprocess.CalledProcessError: It failed; ``output`` is what was printed.
        """
        image = f"tmpenv-test/planned-{uuid.uuid4().hex}"
        # The distribution's command has BuildKit built in; another in front may lack its plugin.
        docker = shutil.which("docker", path=f"/usr/bin:{os.environ['PATH']}") or "docker"
        done = subprocess.run(
            [
                *(docker, "build", "--progress=plain", "--tag", image),
                *("--file", str(plan.dockerfile)),
                *(word for name in plan.arguments for word in ("--build-arg", name)),
                *(f"--secret=id={name},src={file}" for name, file in plan.secrets.items()),
                str(plan.context),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            env=os.environ | dict(plan.arguments) | {"DOCKER_BUILDKIT": "1"},
            timeout=300,
        )
        self._images.append(image)
        return image, done.stdout

    def close(self) -> None:
        for image in self._images:
            subprocess.run(
                ["docker", "image", "rm", "--force", image], check=True, capture_output=True
            )


def run(image: str, *command: str) -> str:
    """Run a command in an image, through its entry point, and give what it printed."""
    done = subprocess.run(
        ["docker", "run", "--rm", "--network=none", image, *command],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.strip()


def everything(image: str) -> Iterator[tuple[str, bytes]]:
    """Give each name and each content of an image: what it says, and its layers' files."""
    saved = subprocess.run(["docker", "save", image], check=True, capture_output=True).stdout
    for name, content in _members(saved):
        yield name, content
        if name.endswith("layer.tar") or "/sha256/" in name:
            yield from _members(content)
    for words in (["history", "--no-trunc", image], ["inspect", image]):
        shown = subprocess.run(["docker", *words], check=True, capture_output=True).stdout
        yield words[0], shown


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    # Some are configurations, not layers.
    if not tarfile.is_tarfile(io.BytesIO(content)):
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            yield f"{member.name} {member.linkname}".strip(), file.read() if file else b""
