"""Make images from repositories: take requests for builds, and answer what came of them.

The one rule: a request is decided in one step of the store, so that any process may be
asked. Whoever holds the lease builds (:mod:`spawner.builder.duty`).
"""

from collections.abc import AsyncGenerator, Sequence

from spawner.builder.model import Build, LogEntry


class Builds:
    """The builds of one instance.

    Every method raises :class:`~spawner.errors.StoreUnavailable` when the store gives no
    answer.
    """

    async def start(
        self,
        repository: str,
        *,
        ref: str = "",
        dependencies: Sequence[str] = (),
        force: bool = False,
        caller: str = "",
    ) -> Build:
        """Build an image from a repository, or join the build that does; answer at once.

        An image that is there and that its template runs is used again, unless it is to be
        built by ``force``. Callers take turns.

        Raises:
            BadSource: It is no repository that may be built; nothing was started.
            SourceUnavailable: Where it lies gave no answer in time.
            BackendUnavailable: Could not ask for the image.
            AlreadyBuilding: The image is being built from something else.
            QueueFull: As many builds wait as may.
        """
        raise NotImplementedError

    async def find(self, name: str) -> Build | None:
        """Give the latest build of a name."""
        raise NotImplementedError

    async def of_repository(self, repository: str, ref: str = "") -> Build | None:
        """Give the latest build of a repository.

        Raises:
            BadSource: It is no repository that may be built.
        """
        raise NotImplementedError

    async def all(self) -> list[Build]:
        """Give the latest build of each name, the newest first."""
        raise NotImplementedError

    async def cancel(self, name: str) -> bool:
        """End the build of a name that waits or runs; False if there is none."""
        raise NotImplementedError

    async def remove(self, name: str) -> bool:
        """Forget the latest build of a name and its log; False if there is none that has ended.

        Its template and its image stay.
        """
        raise NotImplementedError

    async def log(
        self, build: Build, *, after: str = "", follow: bool = False
    ) -> AsyncGenerator[LogEntry]:
        """Give the lines of a build's log; with ``follow`` until the build has ended.

        ``after`` is the id of the last line that is known already.
        """
        raise NotImplementedError
        yield

    async def run(self, fence: int) -> None:
        """Build what waits, and what was left half done, until cancelled or fenced."""
        raise NotImplementedError
