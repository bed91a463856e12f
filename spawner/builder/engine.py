"""Make images with Docker's BuildKit, push them, and clear old ones away.

Docker's command builds, against the daemon on which environments run; what a
build fails of is read from its output. A command that failed says little by
itself: if the daemon is gone nothing is known, and only else has the build
failed. Nor is one that succeeded believed before the daemon has the image.
"""

import asyncio
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from spawner.backends.docker_builds import IMAGE, BuildHost
from spawner.backends.docker_errors import one_line
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import INSTANCE, KIND
from spawner.builder.base import Engine, Step
from spawner.builder.docker_cli import DockerCli, find_cli
from spawner.builder.docker_config import lend
from spawner.builder.logins import login_of
from spawner.builder.model import Plan, Tell
from spawner.builder.progress import BuildProgress
from spawner.builder.pruning import Disk, to_go
from spawner.builder.registry import Registry
from spawner.builder.running import run
from spawner.builder.settings import BuildSettings
from spawner.errors import BackendUnavailable, BuildFailed

_SOCKET = "unix:///var/run/docker.sock"
#: What the command says when the daemon went away meanwhile, and may be back.
_LOST = re.compile(
    r"code = (Unavailable|Canceled)|context canceled|\bEOF$|Cannot connect to the Docker daemon"
    r"|connection re|transport is closing|broken pipe"
)
_FULL = "no space left on device"

log = logging.getLogger(__name__)


class DockerEngine(Engine):
    """Makes images with the daemon of the backend."""

    def __init__(self, settings: BuildSettings, docker: DockerSettings, instance: str) -> None:
        self._settings = settings
        self._docker = docker
        self._instance = instance
        self._login = login_of(settings)
        self._host = BuildHost(docker, instance, self._login)
        self._registry: Registry | None = None
        self._cli: DockerCli | None = None
        self._under_way: set[str] = set()
        #: The docker command's own, beside what it shares with the operator.
        self._scratch = tempfile.TemporaryDirectory(prefix="tmpenv-docker-")
        self._is_disk_unknown_told = False

    async def open(self) -> None:
        """Get ready to ask; asks nobody yet."""
        if self._settings.registry:
            self._registry = Registry(self._settings)
        if self._login:
            await asyncio.to_thread(lend, self._login, Path(self._scratch.name))

    async def close(self) -> None:
        """Give everything back; whoever builds or pushes is cancelled before."""
        if self._registry:
            await self._registry.close()
        self._host.close()
        await asyncio.to_thread(self._scratch.cleanup)

    def reference(self, name: str, tag: str) -> str:
        return f"{self._prefix}{name}:{tag}"

    async def exists(self, image: str) -> bool:
        if self._registry:
            return await self._registry.has(image)
        return await self._host.user_of(image) is not None

    async def user_of(self, image: str) -> str:
        user = await self._host.user_of(image)
        if user is None:
            raise BuildFailed(f"Docker does not have the image {image} any more.")
        return user

    async def build(
        self, plan: Plan, image: str, *, labels: Mapping[str, str], tell: Tell, step: Step
    ) -> None:
        if self._cli is None:
            self._cli = await find_cli(self._settings)
        ours = {INSTANCE: self._instance, KIND: IMAGE}
        progress = BuildProgress()

        def take(line: str) -> None:
            before = (progress.step, progress.steps)
            for told in progress.take(line):
                tell(told)
            if (now := (progress.step, progress.steps)) != before:
                step(*now)

        self._under_way.add(image)
        try:
            command = self._cli.build(plan, image, {**labels, **ours})
            if await run(command, self._environ(plan), take) != 0:
                raise await self._why(progress)
            await self.user_of(image)
            if progress.step < progress.steps:
                step(progress.steps, progress.steps)
        finally:
            self._under_way.discard(image)

    async def push(self, image: str, tell: Tell) -> None:
        if self._registry is None:
            return
        loop = asyncio.get_running_loop()

        def tell_from_thread(line: str) -> None:
            loop.call_soon_threadsafe(tell, line)

        await self._host.push(image, tell_from_thread)

    async def remove(self, image: str) -> None:
        await self._host.remove(image)

    async def prune(self, in_use: Collection[str]) -> None:
        """Remove what is old if Docker's disk is nearly full: BuildKit's cache, then images.

        Images of ``in_use`` stay, by their references, and those of containers and of
        builds under way. Nothing goes where the disk cannot be measured.

        Raises:
            BackendUnavailable: Could not ask; nothing more goes.
        """
        low = self._settings.disk_low
        disk = await self._disk()
        if disk is None or not disk.is_above(self._settings.disk_high):
            return
        await self._host.prune_cache(disk.beyond(low))
        made = [one for one in await self._host.made() if self._is_ours(one.names)]
        used = await self._host.used_ids()
        for image in to_go(made, names={*in_use, *self._under_way}, ids=used):
            if (disk := await self._disk()) is None or not disk.is_above(low):
                return
            names = image.names or (image.id,)
            if all([await self._host.remove(name) for name in names]):
                log.info("removed an old image", extra={"event": "image.removed", "image": names})
            # BuildKit holds on to the layers that it once made for the image.
            await self._host.prune_cache(disk.beyond(low))

    def _is_ours(self, names: Collection[str]) -> bool:
        # What was made from an image of ours by others has inherited its labels.
        return all(name.startswith(self._prefix) for name in names)

    @property
    def _prefix(self) -> str:
        if self._settings.registry:
            return f"{self._settings.registry.rstrip('/')}/"
        return f"tmpenv-build/{self._instance}/"

    def _environ(self, plan: Plan) -> dict[str, str]:
        """Give the command's variables: values of build arguments are seen by nobody else."""
        inherited = {key: value for key, value in os.environ.items() if key[:7] != "TMPENV_"}
        lent = {"DOCKER_CONFIG": self._scratch.name} if self._login else {}
        return {
            **inherited,
            **plan.arguments,
            **lent,
            # The address goes before a context that somebody has chosen for their docker.
            "DOCKER_HOST": self._address,
            "DOCKER_BUILDKIT": "1",
            # It keeps notes of its builders, and a service may have no home to keep them in.
            "BUILDX_CONFIG": str(Path(self._scratch.name, "buildx")),
            "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        }

    @property
    def _address(self) -> str:
        return self._docker.url or os.environ.get("DOCKER_HOST") or _SOCKET

    async def _why(self, progress: BuildProgress) -> BuildFailed | BackendUnavailable:
        """Say why a build ended without an image.

        Raises:
            BackendUnavailable: The daemon does not answer.
        """
        await self._host.ping()
        if not progress.failure and _LOST.search(progress.last_words):
            return BackendUnavailable(f"Docker went away meanwhile: {progress.last_words}")
        words = progress.failure or progress.last_words or "docker said nothing."
        if _FULL in words.lower():
            words = f"Docker's disk is full: {words}"
        return BuildFailed(one_line(words))

    async def _disk(self) -> Disk | None:
        """Measure the disk that holds Docker's files; None if it is not to be seen from here."""
        root = await self._host.root()
        place = _place(root) if self._address.startswith("unix:") else None
        if place is None:
            if not self._is_disk_unknown_told:
                self._is_disk_unknown_told = True
                log.warning(
                    "Docker's disk cannot be measured from here: old images are not removed",
                    extra={"event": "image.disk_unknown", "directory": root},
                )
            return None
        found = shutil.disk_usage(place)
        return Disk(size=found.used + found.free, used=found.used)


def _place(root: str) -> Path | None:
    """Give a path on the file system of Docker's files."""
    if root and Path(root).exists():
        return Path(root)
    # In a container of this very daemon: what is written at its root is on that disk.
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    is_container = any(mount[1:3] == ["/", "overlay"] for mount in mounts)
    return Path("/") if is_container else None
