"""One rig for each backend; every test of the suite runs on all of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spawner.backends.base import Backend
from tests.components import require
from tests.contract.rigs import DockerRig, MemoryRig, ProcessRig, Rig


@pytest.fixture(params=["memory", "process", "docker"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    rig = make(request.param, tmp_path)
    yield rig
    await rig.clear()


def make(name: str, state_dir: Path) -> Rig:
    match name:
        case "memory":
            return MemoryRig()
        case "process":
            require("perl")
            return ProcessRig(state_dir)
        case _:
            require("docker", "tiny-image")
            return DockerRig()


@pytest.fixture
async def backend(rig: Rig) -> Backend:
    return await rig.make()
