"""One rig for each backend; every test of the suite runs on all of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spawner.backends.base import Backend
from tests.components import require
from tests.contract.rigs import DockerRig, MemoryRig, Rig


@pytest.fixture(params=["memory", "docker"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "docker":
        require("docker", "tiny-image")
    rig: Rig = DockerRig() if request.param == "docker" else MemoryRig()
    yield rig
    await rig.clear()


@pytest.fixture
async def backend(rig: Rig) -> Backend:
    return await rig.make()
