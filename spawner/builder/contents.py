"""See what of a repository says how its image is made, without believing it.

The files may stand in ``binder/``, in ``.binder/`` or at the root. The first of
these places that has any of them counts, alone: repositories are made for this
rule. Their names are fixed, so that nothing that a repository chose is ever
written into a Dockerfile.

The one rule: nothing outside the directory is read, whatever a link says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spawner.builder.settings import PRIORITY
from spawner.errors import BuildFailed

#: What a request may name, besides being found without.
SUPPORTED: tuple[str, ...] = (*PRIORITY, "pyproject.toml")
#: What goes with any of them but a Dockerfile.
BESIDE = ("runtime.txt", "apt.txt", "postBuild", "start")
_PLACES = ("binder/", ".binder/", "")
#: None of these files is as long; one that is was not written by hand.
_MOST = 1 << 20  # bytes


def unsupported(dependencies: Sequence[str]) -> tuple[str, ...]:
    """Give those names that no build can be made from."""
    return tuple(name for name in dependencies if name not in SUPPORTED)


@dataclass(frozen=True, slots=True)
class Contents:
    """What is there in a directory that was fetched."""

    directory: Path
    #: Where the files stand: "binder/", ".binder/", or "" for the root.
    place: str
    #: Those of the files that are there.
    names: frozenset[str]

    def path(self, name: str) -> str:
        """Give a file's path below the directory."""
        return self.place + name

    def locate(self, name: str) -> Path:
        """Give the real place of a file.

        Raises:
            BuildFailed: It is none, or a link leads out of the repository.
        """
        return _inside(self.directory, self.path(name))

    def read(self, name: str) -> str:
        """Give a file's text; what is no UTF-8 in it is replaced.

        Raises:
            BuildFailed: It is no file of the repository, or far too long.
        """
        with self.locate(name).open("rb") as file:
            content = file.read(_MOST + 1)
        if len(content) > _MOST:
            raise BuildFailed(f"{self.path(name)} is longer than 1 MiB.")
        return content.decode("utf-8-sig", errors="replace")


def look(directory: Path) -> Contents:
    """Find the place whose files count, and see which there are.

    Raises:
        BuildFailed: One of them is not a file, or a link that leads out of the repository.
    """
    for place in _PLACES:
        names = [
            name
            for name in (*SUPPORTED, *BESIDE)
            # A directory of that name, such as a package "start", is none of them.
            if (directory / place / name).is_symlink() or (directory / place / name).is_file()
        ]
        for name in names:
            _inside(directory, place + name)
        if names:
            return Contents(directory, place, frozenset(names))
    return Contents(directory, "", frozenset())


def refuse_links_out(directory: Path) -> None:
    """Refuse links out of the repository wherever a builder of others looks for its files.

    Raises:
        BuildFailed: There is one.
    """
    for place in _PLACES:
        folder = directory / place
        if folder.is_symlink():
            _inside(directory, place)
        for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
            if entry.is_symlink():
                _inside(directory, place + entry.name)


def _inside(directory: Path, path: str) -> Path:
    try:
        real = (directory / path).resolve(strict=True)
    except (OSError, RuntimeError) as error:  # it leads nowhere, or in a circle
        raise BuildFailed(f"{path[:200]} is a link that leads nowhere.") from error
    if not real.is_relative_to(directory.resolve()):
        raise BuildFailed(f"{path[:200]} is a link out of the repository, which is not followed.")
    return real
