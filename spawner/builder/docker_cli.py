"""Find a docker command that builds with BuildKit, and say what it is called with.

The daemon speaks BuildKit only over a session that the command holds, so builds
need one: a command with the buildx plugin, or one older than version 23, which
has BuildKit built in. The others on PATH are passed over.
"""

import asyncio
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spawner.builder.model import Plan
from spawner.builder.settings import BuildSettings
from spawner.errors import BuildFailed

_FIRST_WITHOUT = 23
_ANSWERS_WITHIN_S = 20.0
_VERSION = re.compile(rb"Docker version (\d+)\.")


@dataclass(frozen=True, slots=True)
class DockerCli:
    """A docker command that can build."""

    path: str
    has_buildx: bool

    def build(self, plan: Plan, image: str, labels: Mapping[str, str]) -> list[str]:
        """Give the words of a build. Of its arguments they have the names alone."""
        kind = ("buildx", "build", "--builder=default", "--load") if self.has_buildx else ("build",)
        return [
            *(self.path, *kind, "--progress=plain", "--tag", image),
            *("--file", str(plan.dockerfile)),
            *(word for name in plan.arguments for word in ("--build-arg", name)),
            *(f"--secret=id={name},src={path}" for name, path in plan.secrets.items()),
            *(f"--label={name}={value}" for name, value in labels.items()),
            *("--", str(plan.context)),
        ]


async def find_cli(settings: BuildSettings) -> DockerCli:
    """Give the first docker command that can build: that of the settings, else of PATH.

    Raises:
        BuildFailed: There is none; the text says what to do.
    """
    for path in (settings.docker_cli,) if settings.docker_cli else _on_path():
        if (await _ask(path, "buildx", "version"))[0] == 0:
            return DockerCli(path, has_buildx=True)
        version = _VERSION.match((await _ask(path, "--version"))[1])
        if version and int(version[1]) < _FIRST_WITHOUT:
            return DockerCli(path, has_buildx=False)
    raise BuildFailed(
        "No docker command here can build with BuildKit: install docker-buildx, or set docker_cli "
        "of [build] to one that can."
    )


def _on_path() -> Iterator[str]:
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if directory and (found := shutil.which("docker", path=str(Path(directory).absolute()))):
            yield found


async def _ask(*command: str) -> tuple[int | None, bytes]:
    """Run a command that answers at once; give its exit code and output."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return None, b""
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN_S):
            printed, _ = await process.communicate()
    except TimeoutError:
        return None, b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, printed
