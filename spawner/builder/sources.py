"""Where sources come from: repositories of git, over https.

An address is read by the first provider that knows it; then the commit is looked up
among what the host lists, and from then on that commit alone is meant.
"""

import asyncio
import os
import re
import shutil
import ssl
from importlib.metadata import entry_points
from pathlib import Path

from spawner.builder import refs
from spawner.builder.addresses import check_ref, parse
from spawner.builder.base import Sources
from spawner.builder.checkout import Checkout, empty, pointers
from spawner.builder.credentials import Credentials
from spawner.builder.git import Git
from spawner.builder.hosts import Hosts, Resolve, resolve_by_system
from spawner.builder.model import Source, Tell
from spawner.builder.providers.base import Provider
from spawner.builder.providers.gist import Gist
from spawner.builder.providers.git import Git as AnyGit
from spawner.builder.providers.github import GitHub
from spawner.builder.providers.gitlab import GitLab
from spawner.builder.remote import Remote, Remotes, trusted
from spawner.builder.settings import BuildSettings
from spawner.errors import BadSource, BuildFailed, SourceUnavailable

PROVIDERS = "tmpenv.providers"
_LIST_S = 30.0
_LOOKUP_BYTES = 64 << 20
_SHORT = re.compile(r"[0-9a-f]{7,39}")
#: What git says of a commit that there is not.
_NO_COMMIT = re.compile(r"not our ref|couldn't find remote ref|unadvertised object|bad object")


class GitSources(Sources):
    """Repositories that git fetches."""

    def __init__(
        self, settings: BuildSettings, scratch: Path, *, resolve: Resolve = resolve_by_system
    ) -> None:
        """Bind; ``scratch`` is a directory of this instance alone, made when it is first needed.

        Raises:
            OSError: A file with a password or a certificate cannot be read.
        """
        self._settings = settings
        # Of this process: another one that goes may still fetch.
        self._scratch = scratch / str(os.getpid())
        _remove_remains(scratch)
        self._credentials = Credentials(settings.credentials)
        proxy = settings.https_proxy.get_secret_value() if settings.https_proxy else ""
        self._proxy = proxy
        self._trust = trusted(settings.ca_bundle)
        self._remotes = Remotes(
            Hosts(settings, resolve), self._credentials.login, trust=self._trust, proxy=proxy
        )
        self._providers: list[Provider] = [
            GitHub(),
            Gist(),
            GitLab(settings.gitlab_hosts),
            *(entry.load()() for entry in entry_points(group=PROVIDERS)),
            AnyGit(),
        ]

    def read(self, repository: str, ref: str = "") -> Source:
        """Say what an address means (:class:`~spawner.builder.base.Sources`)."""
        address, ref = parse(repository), check_ref(ref)
        found = (provider.read(address, ref) for provider in self._providers)
        source = next((one for one in found if one is not None), None)
        assert source is not None  # the last provider takes them all
        return source

    async def resolve(self, source: Source) -> str:
        """Give the full id of the commit that is meant."""
        remote = await self._remotes.find(source.url)
        git = self._git(remote)
        listed = await self._list(git, remote, refs.asked(source.ref))
        commit = refs.chosen(source.ref, listed)
        if not commit:
            raise BadSource(_no_such(source))
        if commit not in listed.values():
            await self._see_commit(git, remote, source, commit)
        return commit

    async def fetch(self, source: Source, commit: str, into: Path, tell: Tell) -> None:
        """Put a commit's files into an empty directory, without its history."""

        def tell_masked(line: str) -> None:
            tell(self.hide(line))

        limit_s = self._settings.fetch_timeout.total_seconds()
        try:
            async with asyncio.timeout(limit_s):
                await self._fetch(source, commit, into, tell_masked)
        except BadSource as error:
            raise BuildFailed(str(error)) from error
        except TimeoutError:
            raise BuildFailed(
                f"The repository was not fetched within {limit_s:g} s, the limit of this service "
                "(build.fetch_timeout)."
            ) from None
        except BuildFailed as error:
            raise BuildFailed(self.hide(str(error))) from None

    def hide(self, text: str) -> str:
        """Mask every credential that is known here in a text."""
        return self._credentials.hide(text)

    async def _fetch(self, source: Source, commit: str, into: Path, tell: Tell) -> None:
        tell(f"fetching {source.display_name} at {commit}")
        remote = await self._remotes.find(source.url)
        checkout = Checkout(
            git=self._git(remote),
            find=self._remotes.find,
            tell=tell,
            scratch=self._scratch,
            most_bytes=self._settings.fetch_size,
        )
        try:
            await checkout.put(remote, commit, into)
        except BaseException:
            empty(into)
            raise
        for pointer in await asyncio.to_thread(pointers, into):
            tell(f"{pointer} is kept by git-lfs: only its pointer is here")

    def _git(self, remote: Remote) -> Git:
        self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        home = self._scratch / "home"
        home.mkdir(exist_ok=True)
        settings = {}
        if remote.place.address is None and self._proxy:
            settings["http.proxy"] = self._proxy
        if self._settings.ca_bundle is not None:
            settings["http.sslCAInfo"] = str(self._authorities(home))
        return Git(home=home, place=remote.place, login=remote.login, settings=settings)

    def _authorities(self, home: Path) -> Path:
        """Write down all authorities that are believed, for git, which takes one file."""
        file = home / "authorities.pem"
        if not file.exists():
            certificates = self._trust.get_ca_certs(binary_form=True)
            file.write_text("".join(map(ssl.DER_cert_to_PEM_cert, certificates)))
        return file

    async def _list(self, git: Git, remote: Remote, names: tuple[str, ...]) -> dict[str, str]:
        try:
            async with asyncio.timeout(_LIST_S):
                done = await git.run("ls-remote", "--quiet", "--", remote.url, *names)
        except TimeoutError:
            raise SourceUnavailable("The repository's host is too slow at the moment.") from None
        if done.code:
            last = done.errors.strip().splitlines()[-1:] or ["git says nothing more"]
            raise SourceUnavailable(self.hide(f"The repository cannot be asked: {last[0]}"))
        return refs.read(done.output)

    async def _see_commit(self, git: Git, remote: Remote, source: Source, commit: str) -> None:
        """See that there is a commit which no branch or tag is on.

        Raises:
            BadSource: There is none.
        """
        checkout = Checkout(
            git=git,
            find=self._remotes.find,
            tell=lambda _: None,
            scratch=self._scratch,
            most_bytes=_LOOKUP_BYTES,
        )
        try:
            async with asyncio.timeout(_LIST_S):
                await checkout.look(remote, commit)
        except TimeoutError:
            raise SourceUnavailable("The repository's host is too slow at the moment.") from None
        except BuildFailed as error:
            if _NO_COMMIT.search(str(error)):
                raise BadSource(_no_such(source)) from None
            raise SourceUnavailable(self.hide(str(error))) from None


def _remove_remains(scratch: Path) -> None:
    """Remove what processes left behind that ended without a word."""
    if scratch.is_dir():
        for left in scratch.iterdir():
            if left.name == str(os.getpid()) or not (left.name.isdigit() and _lives(left.name)):
                shutil.rmtree(left, ignore_errors=True)


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is another user's
    return True


def _no_such(source: Source) -> str:
    if not source.ref:
        return f"{source.display_name} has no commit yet."
    text = f'There is no branch, tag or commit "{source.ref}".'
    return f"{text} Write all 40 letters of a commit." if _SHORT.fullmatch(source.ref) else text
