"""Both tours for real: a repository served by git, a Docker build, Jupyter in its image."""

import asyncio
import os
import uuid
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import aiohttp
import pytest

from tests.buildkit import as_toml, machine
from tests.command import ROOT, variables
from tests.components import require
from tests.git_server import git_server
from tests.serving import API_KEY, COMMAND, Serving

BUILD_TIMEOUT_S = 600
#: The templates of a build come of it.
CONFIG = """
backend = "docker"
on_exit = "stop"
"""


async def play(tour: str, repository: str, server: str) -> tuple[int | None, str]:
    """Play a tour; give its exit code and all that it said."""
    process = await asyncio.create_subprocess_exec(
        "sh",
        str(ROOT / "docs" / tour),
        repository,
        stdout=PIPE,
        stderr=STDOUT,
        env=variables(
            TMPENV_SERVER=server,
            TMPENV_API_KEY=API_KEY,
            PATH=f"{Path(COMMAND).parent}{os.pathsep}{os.environ['PATH']}",
        ),
    )
    async with asyncio.timeout(BUILD_TIMEOUT_S):
        said, _ = await process.communicate()
    return process.returncode, said.decode()


@pytest.mark.parametrize("tour", ["tour.sh", "tour-cli.sh"])
async def test_a_repository_becomes_an_opened_notebook(
    tour: str, directory: Path, docker_instance: str
) -> None:
    require("jupyter-image", "redis-server", "curl", "git", "buildkit")
    with git_server(directory / "repositories") as git:
        # What Docker built before says nothing again.
        built = f"built for {uuid.uuid4()}"
        git.repository("org/course").commit(
            {"start.ipynb": "{}", "postBuild": f"#!/bin/sh\necho {built}\n"}
        )
        state = directory / "state"
        state.mkdir()
        builds = as_toml({"allowed_networks": ["127.0.0.0/8"], **machine()})
        async with Serving(state, CONFIG + builds, instance=docker_instance) as served:
            code, said = await play(tour, git.url("org/course"), served.url)

            assert code == 0, said
            assert f"{built}\n" in said
            address = said.splitlines()[-1]
            assert address.startswith(f"{served.url}/user/")
            async with aiohttp.ClientSession() as visitor:
                at = address.partition("?")[0].rstrip("/")
                async with visitor.get(address) as page, visitor.get(f"{at}/api") as api:
                    assert page.status == 200
                    assert "version" in await api.json()
