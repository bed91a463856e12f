"""From a repository to an environment that answers, for real: git, BuildKit, Jupyter."""

import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.binder_client import BinderClient
from tests.buildkit import as_toml, machine
from tests.components import TINY, require
from tests.git_server import GitServer, Repository, git_server, host_of
from tests.serving import API_KEY, Serving
from tests.waiting import eventually

CONFIG = """
backend = "docker"
log_format = "json"
log_level = "debug"
on_exit = "stop"
"""
#: What an image upon the tiny one runs.
TINY_COMMAND = "exec perl /server.pl"
KEY = {"Authorization": f"token {API_KEY}"}


class Yard:
    """A server of repositories, and a tmpenv that builds them."""

    def __init__(self, git: GitServer, serving: Serving) -> None:
        self.git = git
        self.serving = serving

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self.serving.url}{path}"
        async with self.serving.session.request(method, url, json=body, headers=KEY) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return answer

    async def build(self, name: str, **more: Any) -> Any:
        """Ask for a build, and give what is answered at once."""
        return await self.ask("POST", "/builds", {"repository": self.git.url(name), **more})

    async def until(self, build: Any, **facts: Any) -> Any:
        """Wait until a build is so far."""

        async def is_so() -> Any:
            shown = await self.ask("GET", f"/builds/{build['name']}")
            assert shown["status"] in ("running", facts.get("status")), await self.log(build)
            return shown if facts.items() <= shown.items() else None

        return await eventually(is_so, within=120, every=0.1)

    async def log(self, build: Any) -> str:
        url = f"{self.serving.url}/builds/{build['name']}/logs"
        async with self.serving.session.get(url, headers=KEY) as response:
            return await response.text()

    async def opened(self, build: Any) -> str:
        """Launch what was built; give the location, where it answers."""
        launched = await self.ask("POST", f"/applications/{build['name']}")
        path = f"/applications/{build['name']}/{launched['id']}"

        async def is_there() -> Any:
            return (await self.ask("GET", path)).get("location")

        location = str(await eventually(is_there, within=90))
        assert await self.status_of(location) == 200
        return location

    async def status_of(self, location: str) -> int:
        url = f"{self.serving.url}{location}/api"
        async with self.serving.session.get(url) as response:
            return response.status


def tiny(repository: Repository, *steps: str) -> str:
    """Commit a Dockerfile upon the tiny image whose steps nobody has built before."""
    marked = [f"RUN echo {uuid.uuid4()}", *steps]
    return repository.commit({"Dockerfile": "\n".join((f"FROM {TINY}", *marked, ""))})


@pytest.fixture
def git(directory: Path) -> Iterator[GitServer]:
    require("git", "buildkit")
    with git_server(directory / "git") as git:
        yield git


@pytest.fixture
async def yard(directory: Path, docker_instance: str, git: GitServer) -> AsyncIterator[Yard]:
    settings = {"allowed_networks": ["127.0.0.0/8"], "command": TINY_COMMAND}
    config = CONFIG + as_toml(settings)
    async with Serving(directory, config, instance=docker_instance) as serving:
        yield Yard(git, serving)


async def test_binders_own_client_leads_from_a_repository_to_jupyter(
    directory: Path, docker_instance: str, git: GitServer
) -> None:
    require("binder-client", "jupyter-image")
    git.repository("Org/Course").commit({"start.ipynb": "{}", "requirements.txt": "six\n"})
    config = CONFIG + as_toml({"allowed_networks": ["127.0.0.0/8"], **machine()})
    async with Serving(directory, config, instance=docker_instance) as serving:
        yard = Yard(git, serving)
        made = await yard.ask("POST", "/api/keys", {"name": "binder", "scopes": ["admin"]})
        client = BinderClient(serving.port, made["key"])

        started = await client.told("build", "start", git.url("Org/Course"), "false")
        name = started["name"]
        await yard.until(started, status="completed")
        status = await client.told("build", "status", name)
        listed = await client.told("build", "status-all")
        template = await client.told("registry", "fetch", name)
        deployed = await client.told("deploy", "deploy", name, "3600000")

        async def located() -> Any:
            shown = await client.told("deploy", "status", name, deployed["id"])
            return shown.get("location")

        location = await eventually(located, within=90)
        async with serving.session.get(f"{serving.url}{location}/api") as response:
            answered = await response.json()

    assert (status["status"], status["phase"]) == ("completed", "finished")
    assert status["dependencies"] == ["requirements.txt"]
    assert [one["name"] for one in listed] == [name]
    assert template["image-source"] == status["image-source"]
    assert "version" in answered  # which is Jupyter's own


async def test_a_build_that_a_crash_cut_off_is_built_by_who_comes_next(yard: Yard) -> None:
    tiny(yard.git.repository("org/slow"), "RUN sleep 4", "RUN echo done-at-last")
    build = await yard.build("org/slow")
    await yard.until(build, phase="building", step=3)

    yard.serving.kill()
    await yard.serving.start()

    ended = await yard.until(build, status="completed")
    log = await yard.log(build)
    assert ended["commit"] == build["commit"]
    assert "Started over: " in log.partition("RUN sleep 4")[2]
    assert log.count("done-at-last\n") >= 1
    await yard.opened(build)


async def test_a_failed_build_spoils_neither_image_nor_session(yard: Yard) -> None:
    repository = yard.git.repository("org/course")
    good = tiny(repository)
    build = await yard.build("org/course")
    first = await yard.until(build, status="completed", commit=good)
    session = await yard.opened(build)

    bad = tiny(repository, "RUN echo about-to-fail && exit 7")
    await yard.build("org/course")
    failed = await yard.until(build, status="failed", commit=bad)
    template = await yard.ask("GET", f"/templates/{build['name']}")

    assert "7" in failed["error"]
    assert "about-to-fail" in await yard.log(build)
    assert template["image-source"] == first["image-source"]
    assert await yard.status_of(session) == 200
    await yard.opened(build)

    better = tiny(repository)
    await yard.build("org/course")
    second = await yard.until(build, status="completed", commit=better)
    template = await yard.ask("GET", f"/templates/{build['name']}")

    assert template["image-source"] == second["image-source"] != first["image-source"]
    assert await yard.status_of(session) == 200


async def test_a_cancelled_build_ends_at_once(yard: Yard) -> None:
    tiny(yard.git.repository("org/slow"), "RUN sleep 600")
    build = await yard.build("org/slow")
    await yard.until(build, phase="building", step=3)

    cancelled = await yard.ask("DELETE", f"/builds/{build['name']}")
    ended = await yard.until(build, status="failed")

    assert cancelled["cancelled"]
    assert ended["error"] == "cancelled"


async def test_a_private_repositorys_password_is_nowhere(
    directory: Path, docker_instance: str, git: GitServer
) -> None:
    repository = git.repository("org/private")
    tiny(repository)
    git.login = ("ada", "planted-password")
    settings = {
        "allowed_networks": ["127.0.0.0/8"],
        "command": TINY_COMMAND,
        "pip_index_url": "https://ada:planted-index@pypi.example.org/simple",
    }
    login = 'username = "ada"\npassword = "planted-password"\n'
    place = f'[build.credentials."{host_of(git.url(""))}"]\n'
    config = CONFIG + as_toml(settings) + place + login
    state = directory / "state"
    state.mkdir()
    async with Serving(state, config, instance=docker_instance) as serving:
        yard = Yard(git, serving)
        serving.config.unlink()  # which has them, of course
        build = await yard.build("org/private")
        ended = await yard.until(build, status="completed")
        said = [str(ended), await yard.log(build), str(await yard.ask("GET", "/api/catalogue"))]
        client = docker.from_env()
        try:
            image = client.images.get(ended["image-source"])
            said += [str(image.attrs), str(image.history())]
        finally:
            client.close()
        exported = subprocess.run(
            ["docker", "save", ended["image-source"]], check=True, capture_output=True
        ).stdout

    assert b"planted-" not in exported
    assert not [text for text in said if "planted-" in text]
    for path in state.rglob("*"):
        assert not path.is_file() or b"planted-" not in path.read_bytes(), path
