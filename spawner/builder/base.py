"""What a build needs from the world: where sources come from, and what makes images.

The implementations are :mod:`spawner.builder.sources` (git), :mod:`spawner.builder.planning`
(what a directory is built by) and :mod:`spawner.builder.engine` (Docker).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from spawner.builder.model import Plan, Source, Tell

#: Told how far the engine is: step n of m.
Step = Callable[[int, int], None]


class Sources(Protocol):
    """Knows repositories by their addresses, and fetches them."""

    def read(self, repository: str, ref: str = "") -> Source:
        """Say what an address means; asks nobody.

        ``ref`` goes before one that stands in the address (``/tree/<branch>``).

        Raises:
            BadSource: It is no repository that may be built; nothing was asked or started.
        """

    async def resolve(self, source: Source) -> str:
        """Give the full id of the commit that is meant.

        Raises:
            BadSource: There is no such repository, branch, tag or commit, or its host may
                not be asked.
            SourceUnavailable: No answer came.
        """

    async def fetch(self, source: Source, commit: str, into: Path, tell: Tell) -> None:
        """Put a commit's files into an empty directory, without its history.

        Raises:
            BuildFailed: It is too large, takes too long, or is not there any more.
        """

    def hide(self, text: str) -> str:
        """Mask every credential that is known here in a text."""


class Planner(Protocol):
    """Says what a directory is built by."""

    def plan(
        self, directory: Path, workspace: Path, dependencies: Sequence[str], tell: Tell
    ) -> Plan:
        """Choose the files that count, and write the Dockerfile, shown in the log.

        ``workspace`` is a directory of the build's own for what is generated. Only
        ``dependencies`` count if there are any. Blocks; run it in a thread.

        Raises:
            BuildFailed: Nothing of it can be built; the text says why.
        """


class Engine(Protocol):
    """Makes, keeps and removes images."""

    def reference(self, name: str, tag: str) -> str:
        """Give an image's full reference, with the registry's if there is one."""

    async def exists(self, image: str) -> bool:
        """Say whether an image is there: in the registry if there is one, else at the daemon.

        One that is only at the daemon where there is a registry was not pushed: it has to be
        built again, which its layers make short.

        Raises:
            BuildFailed: The registry does not let us ask.
            BackendUnavailable: Could not ask.
        """

    async def user_of(self, image: str) -> str:
        """Say as whom an image that was built here runs; empty for root.

        Raises:
            BuildFailed: It is not here any more.
            BackendUnavailable: Could not ask.
        """

    async def build(
        self, plan: Plan, image: str, *, labels: Mapping[str, str], tell: Tell, step: Step
    ) -> None:
        """Build an image; being cancelled ends the build at the daemon as well.

        Raises:
            BuildFailed: A step failed; its output is in the log.
            BackendUnavailable: The daemon went away; nothing is known.
        """

    async def push(self, image: str, tell: Tell) -> None:
        """Push an image to the registry; does nothing where there is none.

        Raises:
            BuildFailed: The registry refused; the text says why.
            BackendUnavailable: It gave no answer.
        """

    async def remove(self, image: str) -> None:
        """Remove an image here; one that is not there, or is in use, is left."""

    async def prune(self, in_use: Collection[str]) -> None:
        """Remove old images if the disk is nearly full, never one of ``in_use``.

        Raises:
            BackendUnavailable: Could not ask; nothing more goes.
        """
