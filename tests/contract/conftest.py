"""One rig for each backend; every test of the suite runs on all of them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spawner.backends.base import Backend
from tests.contract.rigs import MemoryRig, Rig


@pytest.fixture(params=["memory"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    rig = MemoryRig()
    yield rig
    await rig.clear()


@pytest.fixture
async def backend(rig: Rig) -> Backend:
    return await rig.make()
