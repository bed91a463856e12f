"""Builds of a test's own: what is built, what is told meanwhile, and what is left at Docker."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import docker
import psutil

from spawner.backends.docker_settings import DockerSettings
from spawner.builder.engine import DockerEngine
from spawner.builder.model import Plan
from spawner.builder.settings import BuildSettings
from tests.components import TINY


class Told:
    """What a build tells."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[int, int]] = []

    def tell(self, line: str) -> None:
        self.lines.append(line)

    def step(self, at: int, of: int) -> None:
        self.steps.append((at, of))

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


class Site:
    """An engine, and a hand at its daemon."""

    def __init__(
        self, directory: Path, engine: DockerEngine, settings: BuildSettings, url: str
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.told = Told()
        self.client = docker.DockerClient(url) if url else docker.from_env()
        self._directory = directory

    def plan(self, *steps: str, base: str = TINY, **changes: Any) -> Plan:
        """Plan to build an image of further steps upon one that is there."""
        context = self._directory / secrets.token_hex(4)
        context.mkdir()
        (context / "Dockerfile").write_text("\n".join((f"FROM {base}", *steps, "")))
        return Plan(context=context, dockerfile=context / "Dockerfile", dependencies=(), **changes)

    async def build(
        self, plan: Plan, image: str = "", labels: Mapping[str, str] | None = None
    ) -> str:
        """Build an image, by a name of its own if none is given."""
        image = image or self.new_image()
        await self.engine.build(
            plan, image, labels=labels or {}, tell=self.told.tell, step=self.told.step
        )
        return image

    def new_image(self) -> str:
        return self.engine.reference("tiny", secrets.token_hex(4))

    def has(self, image: str) -> bool:
        return bool(self.client.images.list(name=image))

    def remove(self) -> None:
        """Remove every image that was made of this instance."""
        for one in self.client.images.list(filters={"label": "tmpenv.instance=test-engine"}):
            self.client.images.remove(one.id, force=True)
        self.client.close()


@asynccontextmanager
async def building(directory: Path, url: str = "", **settings: Any) -> AsyncIterator[Site]:
    """Open an engine; what it makes is removed."""
    given = BuildSettings(**settings)
    engine = DockerEngine(given, DockerSettings(url=url), "test-engine")
    await engine.open()
    site = Site(directory, engine, given, url)
    try:
        yield site
    finally:
        await engine.close()
        site.remove()


def runs(words: str) -> bool:
    """Say whether a process with these words runs on this machine, in a container or not."""
    commands = (one.info["cmdline"] or () for one in psutil.process_iter(["cmdline"]))
    return any(words in " ".join(command) for command in commands)
