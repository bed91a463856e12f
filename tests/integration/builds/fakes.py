"""Sources, planner and engine whose course a test decides; each failure has a name."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from spawner.builder.base import Engine, Planner, Sources, Step
from spawner.builder.model import Plan, Source, Tell
from spawner.errors import BackendUnavailable, BadSource, BuildFailed

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SECRET = "s3cr3t-of-a-repository"


class Repositories(Sources):
    """Knows every repository of one host; its commits can be moved."""

    def __init__(self) -> None:
        self.commits: dict[str, str] = {}
        self.fetched: list[str] = []

    def read(self, repository: str, ref: str = "") -> Source:
        if not repository.startswith("https://git.example.org/"):
            raise BadSource("Only git.example.org can be built.")
        name = repository.removeprefix("https://git.example.org/").lower()
        return Source(provider="git", url=repository, ref=ref, display_name=name, name=name)

    async def resolve(self, source: Source) -> str:
        return self.commits.get(source.name, COMMIT)

    async def fetch(self, source: Source, commit: str, into: Path, tell: Tell) -> None:
        self.fetched.append(source.name)
        (into / "requirements.txt").write_text(commit)

    def hide(self, text: str) -> str:
        return text.replace(SECRET, "***")


class FailsToFetch(Repositories):
    """The repository is too large."""

    async def fetch(self, source: Source, commit: str, into: Path, tell: Tell) -> None:
        (into / "half").write_text("of it")
        raise BuildFailed("The repository is too large.")


class BreaksInFetch(Repositories):
    """Has a mistake of ours."""

    async def fetch(self, source: Source, commit: str, into: Path, tell: Tell) -> None:
        raise RuntimeError(f"nobody may read {SECRET}")


class PlansRequirements(Planner):
    """Finds requirements.txt."""

    def __init__(self) -> None:
        self.command: str | None = None
        self.urlpath = "lab"
        #: What each build listens to.
        self.told: list[Tell] = []

    def plan(
        self, directory: Path, workspace: Path, dependencies: Sequence[str], tell: Tell
    ) -> Plan:
        self.told.append(tell)
        tell("FROM tmpenv/jupyter")
        return Plan(
            context=directory,
            dockerfile=workspace / "Dockerfile",
            dependencies=("requirements.txt",),
            command=self.command,
            urlpath=self.urlpath,
        )


class Daemon:
    """What several engines know of one Docker, as their images."""

    def __init__(self) -> None:
        self.images: set[str] = set()


class HeldEngine(Engine):
    """Builds when it is let go; tells what it is asked for."""

    def __init__(self, daemon: Daemon | None = None, *, held: bool = False) -> None:
        self.daemon = daemon or Daemon()
        self.user = "1000"
        self.begun: list[str] = []
        self.pushed: list[str] = []
        self.ended_early: list[str] = []
        self.kept: list[set[str]] = []
        self.lines: list[str] = ["Collecting six"]
        self.go = asyncio.Event()
        if not held:
            self.go.set()
        self.at_once = 0
        self.most_at_once = 0

    def reference(self, name: str, tag: str) -> str:
        return f"here/{name}:{tag}"

    async def exists(self, image: str) -> bool:
        return image in self.daemon.images

    async def user_of(self, image: str) -> str:
        return self.user

    async def build(
        self, plan: Plan, image: str, *, labels: Mapping[str, str], tell: Tell, step: Step
    ) -> None:
        self.begun.append(image)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            step(1, 2)
            for line in self.lines:
                tell(line)
            await self.go.wait()
            await self.work(tell)
            step(2, 2)
        except asyncio.CancelledError:
            self.ended_early.append(image)
            raise
        finally:
            self.at_once -= 1
        self.daemon.images.add(image)

    async def work(self, tell: Tell) -> None:
        """Do what this engine is there for."""

    async def push(self, image: str, tell: Tell) -> None:
        self.pushed.append(image)

    async def remove(self, image: str) -> None:
        self.daemon.images.discard(image)

    async def prune(self, in_use: Collection[str]) -> None:
        self.kept.append(set(in_use))


class FailsAStep(HeldEngine):
    """A step of the Dockerfile fails."""

    async def work(self, tell: Tell) -> None:
        tell("ERROR: no such package")
        raise BuildFailed("Step 2 of 2 failed: pip install.")


class FailsToPush(HeldEngine):
    """The registry refuses."""

    async def push(self, image: str, tell: Tell) -> None:
        raise BuildFailed("The registry refused the image.")


class LosesTheDaemon(HeldEngine):
    """The daemon goes away in the first ``times`` builds."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def work(self, tell: Tell) -> None:
        if self.times:
            self.times -= 1
            raise BackendUnavailable("Docker went away.")


class Chatters(HeldEngine):
    """Prints for ever, and never ends."""

    async def work(self, tell: Tell) -> None:
        while True:
            tell("still here")
            await asyncio.sleep(0.02)


class Crashes(HeldEngine):
    """Has the process that builds end at a named point."""

    def __init__(self, at: str, daemon: Daemon) -> None:
        super().__init__(daemon)
        self._at = at
        self.crash: Callable[[], None] = lambda: None

    async def _reach(self, point: str) -> None:
        if point == self._at:
            self.crash()
            await asyncio.Event().wait()

    async def work(self, tell: Tell) -> None:
        await self._reach("in build")

    async def user_of(self, image: str) -> str:
        await self._reach("after build")
        return self.user

    async def push(self, image: str, tell: Tell) -> None:
        await self._reach("before push")
        self.pushed.append(image)
        await self._reach("after push")
