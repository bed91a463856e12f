"""A small build for real: files, a plan, BuildKit, and a template that runs the image."""

import shutil
import uuid
from pathlib import Path

import pytest

from spawner.backends.docker_settings import DockerSettings
from spawner.builder.engine import DockerEngine
from spawner.builder.model import Outcome, Source, Tell
from spawner.builder.planning import FilePlanner
from tests.buildkit import machine
from tests.components import require
from tests.integration.builds.conftest import MakeSite
from tests.integration.builds.fakes import Repositories
from tests.integration.builds.site import settings


class Folder(Repositories):
    """Gives the files of a directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory

    async def fetch(self, source: Source, commit: str, into: Path, tell: Tell) -> None:
        shutil.copytree(self._directory, into, dirs_exist_ok=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    require("jupyter-image")
    folder = tmp_path / "repository"
    folder.mkdir()
    # What was built before says nothing again.
    (folder / "hello.txt").write_text(f"hello {uuid.uuid4()}\n")
    (folder / "postBuild").write_text("#!/bin/sh\ncat hello.txt\n")
    (folder / "postBuild").chmod(0o755)
    return folder


async def test_a_repositorys_files_become_an_image_and_its_template(
    site: MakeSite, instance: str, folder: Path
) -> None:
    set_to = settings(**machine())
    engine = DockerEngine(set_to, DockerSettings(), instance)
    await engine.open()
    try:
        async with site(
            sources=Folder(folder), engine=engine, planner=FilePlanner(set_to), set_to=set_to
        ) as one:
            build = await one.built(within=300)
            log = await one.log(build)

            assert build.outcome is Outcome.COMPLETED, "\n".join(log)
            assert any((folder / "hello.txt").read_text().strip() in line for line in log)
            assert await engine.exists(build.image)
            assert one.catalogue.templates["repo"].image == build.image
            # It is there now, and is not built again.
            again = await one.start()
            assert (again.outcome, again.image) == (Outcome.COMPLETED, build.image)
            await engine.remove(build.image)
    finally:
        await engine.close()
