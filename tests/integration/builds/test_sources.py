"""Repositories of git over HTTP: which commit is meant, what comes of it, who is asked."""

import asyncio
import contextlib
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import SecretStr

from spawner.builder.settings import BuildSettings, Credential
from spawner.builder.sources import GitSources
from spawner.errors import BadSource, BuildFailed, SourceUnavailable
from tests.components import require
from tests.git_server import GitServer, git_server, host_of
from tests.waiting import eventually

LOOPBACK = (ip_network("127.0.0.0/8"),)


class Desk:
    """Fetches from a server into directories of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.scratch = directory / "scratch"
        self.told: list[str] = []
        self.resolved: dict[str, list[str]] = {}

    def sources(self, **settings: Any) -> GitSources:
        settings = {"allowed_networks": LOOPBACK, **settings}
        return GitSources(BuildSettings(**settings), self.scratch, resolve=self._resolve)

    async def _resolve(self, host: str, _port: int) -> list[str]:
        if host not in self.resolved:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return self.resolved[host]

    async def resolve(self, url: str, ref: str = "", **settings: Any) -> str:
        sources = self.sources(**settings)
        return await sources.resolve(sources.read(url, ref))

    async def fetch(self, url: str, ref: str = "", **settings: Any) -> Path:
        sources = self.sources(**settings)
        source = sources.read(url, ref)
        commit = await sources.resolve(source)
        into = self._directory / f"into-{len(list(self._directory.glob('into-*')))}"
        into.mkdir()
        await sources.fetch(source, commit, into, self.told.append)
        return into


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    require("git")
    with git_server(tmp_path / "served") as server:
        yield server


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    assert not gits_in(desk.scratch)


def gits_in(directory: Path) -> list[list[str]]:
    """List the processes whose home is the scratch directory."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if str(directory) in one.environ().get("HOME", ""):
                found.append(one.cmdline())
    return found


def files_in(directory: Path) -> list[str]:
    return sorted(
        str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()
    )


async def test_branches_tags_and_commits_are_told_apart(server: GitServer, desk: Desk) -> None:
    repository = server.repository("org/repo")
    first = repository.commit({"a": "1"})
    second = repository.commit({"a": "2"})
    branch = repository.commit({"b": "1"}, branch="dev")
    beside = repository.commit({"c": "1"}, branch="a/main")
    repository.tag("v1", first)
    repository.tag("v2", first, annotated=True)
    repository.tag("dev", second)
    url = server.url("org/repo")

    found = {
        ref: await desk.resolve(url, ref)
        for ref in ("", "main", "dev", "a/main", "v1", "v2", first)
    }

    assert found == {
        "": second,
        "main": second,
        "dev": branch,  # a branch goes before a tag of its name
        "a/main": beside,
        "v1": first,
        "v2": first,  # the commit that an annotated tag is on
        first: first,
    }


@pytest.mark.parametrize("ref", ["nothing", "ain", "0" * 40, "abcdef1", "HEAD^"])
async def test_a_ref_that_there_is_not_is_told(server: GitServer, desk: Desk, ref: str) -> None:
    server.repository("org/repo").commit({"a": "1"})

    with pytest.raises(BadSource):
        await desk.resolve(server.url("org/repo"), ref)


async def test_a_repository_without_commits_is_told(server: GitServer, desk: Desk) -> None:
    server.repository("org/repo")

    with pytest.raises(BadSource, match="no commit yet"):
        await desk.resolve(server.url("org/repo"))


async def test_a_repository_that_there_is_not_is_told(server: GitServer, desk: Desk) -> None:
    with pytest.raises(BadSource, match="no such repository, or it is private"):
        await desk.resolve(server.url("org/nothing"))


async def test_files_come_without_history_and_settings(server: GitServer, desk: Desk) -> None:
    repository = server.repository("org/repo")
    repository.commit({"gone": "1"})
    repository.git("rm", "--quiet", "gone")
    repository.commit({"a": "2", "d/e f": "3", "run": "#!/bin/sh\n", "é": "4"})

    into = await desk.fetch(server.url("org/repo"))

    assert files_in(into) == ["a", "d/e f", "run", "é"]
    assert (into / "run").stat().st_mode & 0o111
    assert list(desk.scratch.glob("*/git-*")) == []


async def test_the_commit_that_was_resolved_is_the_one_that_comes(
    server: GitServer, desk: Desk, tmp_path: Path
) -> None:
    repository = server.repository("org/repo")
    repository.commit({"a": "old"})
    sources = desk.sources()
    source = sources.read(server.url("org/repo"), "main")
    commit = await sources.resolve(source)
    repository.commit({"a": "new"})
    (tmp_path / "into").mkdir()

    await sources.fetch(source, commit, tmp_path / "into", desk.told.append)

    assert (tmp_path / "into" / "a").read_text() == "old"


async def test_submodules_come_with_it(server: GitServer, desk: Desk) -> None:
    inner = server.repository("org/inner")
    inner.commit({"i": "1"})
    outer = server.repository("org/outer")
    outer.commit({"o": "1"})
    outer.submodule("lib", "../inner", inner)
    outer.submodule("other", server.url("org/inner"), inner)

    into = await desk.fetch(server.url("org/outer"))

    assert files_in(into) == [".gitmodules", "lib/i", "o", "other/i"]
    assert "fetching the submodule lib" in desk.told


@pytest.mark.parametrize(
    "url", ["file:///etc", "ssh://git@example.org/x", "https://10.0.0.1/x", "ext::sh -c id"]
)
async def test_a_submodule_leads_nowhere_else(server: GitServer, desk: Desk, url: str) -> None:
    inner = server.repository("org/inner")
    inner.commit({"i": "1"})
    outer = server.repository("org/outer")
    outer.commit({"o": "1"})
    outer.submodule("lib", url, inner)

    with pytest.raises(BuildFailed, match="submodule lib"):
        await desk.fetch(server.url("org/outer"))


async def test_of_lfs_the_pointers_are_told(server: GitServer, desk: Desk) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    server.repository("org/repo").commit({"data.bin": pointer, ".gitattributes": attributes})

    into = await desk.fetch(server.url("org/repo"))

    assert (into / "data.bin").read_text() == pointer
    assert "data.bin is kept by git-lfs: only its pointer is here" in desk.told


async def test_a_huge_file_is_given_up(server: GitServer, desk: Desk, tmp_path: Path) -> None:
    server.repository("org/repo").commit({"huge": b"x" * (5 << 20)})

    with pytest.raises(BuildFailed, match="larger than 2 MiB"):
        await desk.fetch(server.url("org/repo"), fetch_size=2 << 20)

    assert files_in(tmp_path / "into-0") == []
    assert list(desk.scratch.glob("*/git-*")) == []


async def test_a_server_that_stalls_is_given_up(
    server: GitServer, desk: Desk, tmp_path: Path
) -> None:
    server.repository("org/repo").commit({"a": "1"})
    sources = desk.sources(fetch_timeout=1)
    source = sources.read(server.url("org/repo"))
    commit = await sources.resolve(source)
    (tmp_path / "into").mkdir()
    server.answers.clear()

    with pytest.raises(BuildFailed, match="within 1 s"):
        await sources.fetch(source, commit, tmp_path / "into", desk.told.append)


async def test_who_gives_up_leaves_no_git_behind(
    server: GitServer, desk: Desk, tmp_path: Path
) -> None:
    server.repository("org/repo").commit({"a": "1"})
    sources = desk.sources()
    source = sources.read(server.url("org/repo"))
    commit = await sources.resolve(source)
    (tmp_path / "into").mkdir()
    asked = len(server.asked)
    # The first question is our own; git's is left without an answer.
    fetching = asyncio.create_task(
        sources.fetch(source, commit, tmp_path / "into", desk.told.append)
    )

    async def hangs() -> bool:
        if len(server.asked) > asked:
            server.answers.clear()
        return bool(gits_in(desk.scratch)) and not server.answers.is_set()

    await eventually(hangs, every=0.001)
    fetching.cancel()
    await asyncio.gather(fetching, return_exceptions=True)

    assert fetching.cancelled()
    assert not gits_in(desk.scratch)


async def test_a_private_repository_needs_its_password(
    server: GitServer, desk: Desk, tmp_path: Path
) -> None:
    repository = server.repository("org/private")
    commit = repository.commit({"a": "1"})
    server.login = ("ada", "planted-pässword/")
    url = server.url("org/private")
    right = Credential(username="ada", password=SecretStr("planted-pässword/"))
    wrong = Credential(username="ada", password=SecretStr("planted-wrong"))

    for known in ({}, {host_of(url): wrong}, {f"{host_of(url)}/other": right}):
        with pytest.raises(BadSource, match="private"):
            await desk.resolve(url, credentials=known)
    into = await desk.fetch(url, commit, credentials={f"{host_of(url)}/org": right})

    assert files_in(into) == ["a"]
    for path in (*desk.scratch.rglob("*"), *into.rglob("*")):
        assert not path.is_file() or b"planted" not in path.read_bytes()
    assert not any("planted" in line for line in desk.told)


async def test_a_password_is_in_no_argument(server: GitServer, desk: Desk) -> None:
    repository = server.repository("org/private")
    repository.commit({"a": "1"})
    server.login = ("ada", "planted")
    url = server.url("org/private")
    right = Credential(username="ada", password=SecretStr("planted"))
    seen: list[list[str]] = []
    fetching = asyncio.create_task(desk.fetch(url, credentials={host_of(url): right}))

    while not fetching.done():
        seen += gits_in(desk.scratch)
        await asyncio.sleep(0)

    await fetching
    assert any("fetch" in command for command in seen)
    assert not any("planted" in word for command in seen for word in command)


async def test_a_password_is_sent_to_its_host_alone(
    server: GitServer, desk: Desk, tmp_path: Path
) -> None:
    with git_server(tmp_path / "elsewhere") as other:
        other.repository("org/repo").commit({"a": "1"})
        server.moved["org/repo"] = other.url("org/repo")
        right = Credential(username="ada", password=SecretStr("planted"))
        url = server.url("org/repo")

        into = await desk.fetch(url, credentials={host_of(url): right})

        assert files_in(into) == ["a"]
        assert any(authorization for _, authorization in server.asked)
        assert not any(authorization for _, authorization in other.asked)


def test_a_password_is_masked_in_every_form(desk: Desk) -> None:
    known = {"example.org": Credential(username="ada", password=SecretStr("p@ss/word"))}
    sources = desk.sources(credentials=known)

    text = "p@ss/word p%40ss%2Fword p%40ss/word YWRhOnBAc3Mvd29yZA=="

    assert sources.hide(text) == "******** ******** ******** ********"


@pytest.mark.parametrize(
    ("host", "addresses"),
    [
        ("127.0.0.1", []),
        ("[::1]", []),
        ("10.0.0.1", []),
        ("169.254.169.254", []),
        ("[::ffff:127.0.0.1]", []),
        ("inner.example.org", ["127.0.0.1"]),
        ("inner.example.org", ["192.168.1.1", "fe80::1", "fd00::1"]),
    ],
)
async def test_a_host_of_no_public_address_is_not_asked(
    server: GitServer, desk: Desk, host: str, addresses: list[str]
) -> None:
    desk.resolved[host] = addresses

    with pytest.raises(BadSource, match="no public address"):
        await desk.resolve(f"https://{host}:{server.port}/org/repo", allowed_networks=())

    assert server.asked == []
    assert not desk.scratch.exists()  # so no git was run either


async def test_nobody_is_sent_on_to_what_may_not_be_asked(server: GitServer, desk: Desk) -> None:
    server.moved["org/repo"] = "http://10.0.0.1/org/repo"

    with pytest.raises(BadSource, match="no public address"):
        await desk.resolve(server.url("org/repo"))


async def test_who_is_sent_on_and_on_is_told(server: GitServer, desk: Desk) -> None:
    server.moved["org/repo"] = server.url("org/repo")

    with pytest.raises(BadSource, match="on and on"):
        await desk.resolve(server.url("org/repo"))


async def test_git_asks_the_address_that_was_judged(server: GitServer, desk: Desk) -> None:
    """Nobody but our resolver knows the name; so git was bound to what that said."""
    commit = server.repository("org/repo").commit({"a": "1"})
    desk.resolved["repositories.example.org"] = ["127.0.0.1"]
    url = f"http://repositories.example.org:{server.port}/org/repo"

    assert await desk.resolve(url) == commit
    assert files_in(await desk.fetch(url)) == ["a"]


async def test_only_listed_hosts_are_asked(server: GitServer, desk: Desk) -> None:
    commit = server.repository("org/repo").commit({"a": "1"})
    desk.resolved["a.example.org"] = ["127.0.0.1"]
    url = f"http://a.example.org:{server.port}/org/repo"

    with pytest.raises(BadSource, match="not built here"):
        await desk.resolve(url, hosts=("example.org", "*.example.com"))

    assert await desk.resolve(url, hosts=("*.example.org",)) == commit


async def test_plain_http_is_for_networks_of_ones_own(desk: Desk) -> None:
    desk.resolved["example.org"] = ["93.184.216.34"]

    with pytest.raises(BadSource, match="https alone"):
        await desk.resolve("http://example.org/org/repo")


async def test_a_host_that_there_is_not_is_told(desk: Desk) -> None:
    with pytest.raises(BadSource, match=r"no host nowhere\.example\.org"):
        await desk.resolve("https://nowhere.example.org/org/repo")


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_a_host_that_fails_is_no_refusal(server: GitServer, desk: Desk, status: int) -> None:
    server.repository("org/repo").commit({"a": "1"})
    server.broken = status

    with pytest.raises(SourceUnavailable, match=str(status)):
        await desk.resolve(server.url("org/repo"))


async def test_a_host_that_does_not_answer_is_no_refusal(server: GitServer, desk: Desk) -> None:
    url = server.url("org/repo")
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]

    with pytest.raises(SourceUnavailable):
        await desk.resolve(url.replace(str(server.port), str(port)))


async def test_a_page_is_no_repository(server: GitServer, desk: Desk) -> None:
    server.broken = 200

    with pytest.raises(BadSource, match="a page"):
        await desk.resolve(server.url("org/repo"))


async def test_a_symbolic_link_of_a_repository_is_kept_as_one(
    server: GitServer, desk: Desk
) -> None:
    repository = server.repository("org/repo")
    (repository.path / "passwords").symlink_to("/etc/shadow")
    repository.commit({"a": "1"})

    into = await desk.fetch(server.url("org/repo"))

    assert (into / "passwords").is_symlink()


async def test_what_a_process_left_behind_is_removed(desk: Desk) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    (desk.scratch / str(ended.pid) / "git-x").mkdir(parents=True)
    (desk.scratch / str(os.getppid())).mkdir()

    desk.sources()

    assert [path.name for path in desk.scratch.iterdir()] == [str(os.getppid())]


def test_a_package_brings_a_provider(desk: Desk, tmp_path: Path, monkeypatch: Any) -> None:
    package = tmp_path / "package"
    info = package / "forge_for_tmpenv-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: forge-for-tmpenv\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[tmpenv.providers]\nforge = forge_for_tmpenv:Forge\n")
    (package / "forge_for_tmpenv.py").write_text(
        "from spawner.builder.providers.base import make_source\n"
        "class Forge:\n"
        "    name = 'forge'\n"
        "    def read(self, address, ref):\n"
        "        if address.host != 'forge.example.org':\n"
        "            return None\n"
        "        path = '/'.join(address.segments)\n"
        "        return make_source(self.name, url=f'https://forge.example.org/git/{path}',\n"
        "                           authority=address.authority, path=path, ref=ref)\n"
    )
    monkeypatch.syspath_prepend(package)
    sources = desk.sources()

    source = sources.read("https://forge.example.org/org/repo", "dev")

    assert (source.provider, source.url) == ("forge", "https://forge.example.org/git/org/repo")
    assert sources.read("https://example.org/org/repo").provider == "git"


async def test_a_password_may_be_kept_in_a_file(
    server: GitServer, desk: Desk, tmp_path: Path
) -> None:
    commit = server.repository("org/private").commit({"a": "1"})
    server.login = ("ada", "planted")
    (tmp_path / "password").write_text("planted\n")
    known = Credential(username="ada", password_file=tmp_path / "password")

    url = server.url("org/private")
    assert await desk.resolve(url, credentials={host_of(url): known}) == commit
