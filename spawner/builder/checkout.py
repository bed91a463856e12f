"""Put the files of one commit into a directory, with those of its submodules.

Nothing of git stays there: neither history nor settings. Submodules are fetched one by
one, each from an address that is judged like any other, so that none leads where a
repository itself may not lie.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from spawner.builder import submodules
from spawner.builder.git import Git
from spawner.builder.model import Tell
from spawner.builder.remote import Remote
from spawner.builder.submodules import Submodule
from spawner.errors import BadSource, BuildFailed

_LOOK_S = 0.2
_MOST_DEEP = 4
_MOST_SUBMODULES = 64
_POINTER = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_BYTES = 1024
#: Gives where a repository is served; raises as :meth:`Remotes.find` does.
Find = Callable[[str], Awaitable[Remote]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """One commit on its way into a directory."""

    git: Git
    find: Find
    tell: Tell
    scratch: Path
    most_bytes: int

    async def put(self, remote: Remote, commit: str, into: Path, *, depth: int = 0) -> None:
        """Fetch a commit and put its files into an empty directory.

        Raises:
            BuildFailed, BadSource, SourceUnavailable
        """
        git = replace(self.git, place=remote.place, login=remote.login)
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="git-") as name:
            repository = Path(name)
            await self._git(git, "init", "--quiet", "--bare", "--", name)
            async with _bounded(self.most_bytes, repository, into):
                await self._git(
                    *(git, "fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head"),
                    *("--no-recurse-submodules", "--", remote.url, commit),
                    cwd=repository,
                )
                await self._git(
                    *(git, "--git-dir", name, "--work-tree", str(into)),
                    *("read-tree", "--reset", "-u", commit),
                    cwd=into,
                )
            tree = _Tree(git, remote, repository, commit, into, depth)
            for module in await self._modules(tree):
                await self._put_module(tree, module)

    async def look(self, remote: Remote, commit: str) -> None:
        """Fetch a commit without its files, and forget it.

        Raises:
            BuildFailed: It is not there, or git says something else.
        """
        git = replace(self.git, place=remote.place, login=remote.login)
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="git-") as name:
            await self._git(git, "init", "--quiet", "--bare", "--", name)
            async with _bounded(self.most_bytes, Path(name)):
                await self._git(
                    *(git, "fetch", "--quiet", "--depth=1", "--no-tags", "--filter=tree:0"),
                    *("--no-recurse-submodules", "--", remote.url, commit),
                    cwd=Path(name),
                )

    async def _git(self, git: Git, *arguments: str, cwd: Path | None = None) -> str:
        done = await git.run(*arguments, cwd=cwd, tell=self.tell)
        if done.code:
            last = done.errors.strip().splitlines()[-1:] or ["it says nothing more"]
            raise BuildFailed(f"The repository could not be fetched: {last[0]}")
        return done.output

    async def _modules(self, tree: "_Tree") -> list[Submodule]:
        file = tree.into / ".gitmodules"
        if file.is_symlink() or not file.is_file():
            return []
        listed = await tree.git.run(
            *("config", "--null", "--file", str(file)),
            *("--get-regexp", r"^submodule\..*\.(path|url)$"),
        )
        modules = submodules.read(listed.output)
        if len(modules) > _MOST_SUBMODULES or (modules and tree.depth >= _MOST_DEEP):
            raise BuildFailed("The repository has too many submodules, or too deep ones.")
        return modules

    async def _put_module(self, tree: "_Tree", module: Submodule) -> None:
        shown = await self._git(
            *(tree.git, "ls-tree", "-z", tree.commit, "--", f":(literal){module.path}"),
            cwd=tree.repository,
        )
        commit = submodules.commit_of(module, shown)
        if not commit:
            return  # named, and not there
        place = _inside(tree.into, module.path)
        self.tell(f"fetching the submodule {module.path}")
        try:
            remote = await self.find(submodules.address_of(module, tree.remote.url))
        except BadSource as error:
            raise BuildFailed(f"The submodule {module.path}: {error}") from error
        await self.put(remote, commit, place, depth=tree.depth + 1)


@dataclass(frozen=True, slots=True)
class _Tree:
    """A commit whose files are there, and whose submodules are not yet."""

    git: Git
    remote: Remote
    repository: Path
    commit: str
    into: Path
    depth: int


def _inside(into: Path, path: str) -> Path:
    """Make the directory of a submodule.

    Raises:
        BuildFailed: A link of the repository's own leads it elsewhere.
    """
    place = into / path
    if place.is_symlink() or into.resolve() not in place.resolve().parents:
        raise BuildFailed("The repository has a submodule outside of itself.")
    place.mkdir(parents=True, exist_ok=True)
    return place


def pointers(directory: Path) -> list[str]:
    """List the files of which only a pointer of git-lfs is there."""
    found = []
    for root, _, names in os.walk(directory):
        for name in names:
            path = Path(root) / name
            with suppress(OSError):
                if path.is_symlink() or path.stat().st_size > _POINTER_BYTES:
                    continue
                with path.open("rb") as file:
                    if file.read(len(_POINTER)) == _POINTER:
                        found.append(str(path.relative_to(directory)))
    return sorted(found)


def empty(directory: Path) -> None:
    """Remove what is in a directory."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


@asynccontextmanager
async def _bounded(most_bytes: int, *directories: Path) -> AsyncIterator[None]:
    """End what is within as soon as the directories hold too much.

    Raises:
        BuildFailed: They did.
    """
    task = asyncio.current_task()
    assert task is not None
    is_over = False

    async def watch() -> None:
        nonlocal is_over
        while not is_over:
            await asyncio.sleep(_LOOK_S)
            sizes = [await asyncio.to_thread(_size, one) for one in directories]
            if sum(sizes) > most_bytes:
                is_over = True
                task.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if is_over and not task.uncancel():
            raise _too_large(most_bytes) from None
        raise
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    if sum(map(_size, directories)) > most_bytes:
        raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> BuildFailed:
    return BuildFailed(
        f"The repository is larger than {most_bytes >> 20} MiB, the limit of this service "
        "(build.fetch_size)."
    )


def _size(directory: Path) -> int:
    """Give how many bytes the files below a directory have; some may go meanwhile."""
    total = 0
    for root, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += os.lstat(Path(root) / name).st_size
    return total
