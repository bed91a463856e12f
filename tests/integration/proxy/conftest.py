"""A stage for each test, on the loop the service runs on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.integration.proxy.kit import Stage


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on uvloop, and the module that shows the way from end to end on asyncio too."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    if item.path.name == "test_forwarding.py":
        loops["asyncio"] = asyncio.new_event_loop
    return loops


@pytest.fixture
async def bare_stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """Give a stage that the test starts itself, with settings of its own."""
    stage = Stage(tmp_path)
    yield stage
    await stage.stop()


@pytest.fixture
async def stage(bare_stage: Stage) -> Stage:
    return await bare_stage.start()
