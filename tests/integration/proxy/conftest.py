"""A stage for each test, on the loop the service runs on, or around a target that runs already."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop

from tests.integration.proxy import kit
from tests.integration.proxy.kit import Stage
from tests.integration.proxy.promises import BY_ID, Kind, promise_of
from tests.integration.proxy.target import TargetStage, target_of

NOT_EVERYONES = "nothing that every proxy promises"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "the contract of the proxy, tried on one that runs")
    group.addoption("--target", metavar="HOST:PORT", help="the proxy")
    group.addoption(
        "--upstream",
        metavar="HOST:PORT",
        help="where it forwards /user/abc/ and /user/def/ to; here the tests listen",
    )
    group.addoption("--target-pid", type=int, metavar="PID", help="its process, to weigh it")
    group.addoption("--patience", type=float, metavar="S", help="how long anything is waited for")


def pytest_configure(config: pytest.Config) -> None:
    kit.PATIENCE_S = config.getoption("patience", None) or kit.PATIENCE_S


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Try on a target what can be expected of any proxy, and nothing else."""
    if target_of(config) is None:
        return
    for item in items:
        promise = BY_ID.get(promise_of(item.name))
        if promise is None or promise.kind is not Kind.ANY:
            item.add_marker(pytest.mark.skip(NOT_EVERYONES))


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run on uvloop, and the module that shows the way from end to end on asyncio too."""
    loops: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"uvloop": uvloop.new_event_loop}
    if item.path.name == "test_forwarding.py":
        loops["asyncio"] = asyncio.new_event_loop
    return loops


@pytest.fixture
async def bare_stage(tmp_path: Path, pytestconfig: pytest.Config) -> AsyncIterator[Stage]:
    """Give a stage that the test starts itself, with settings of its own."""
    target = target_of(pytestconfig)
    stage = Stage(tmp_path) if target is None else TargetStage(target)
    yield stage
    await stage.stop()


@pytest.fixture
async def stage(bare_stage: Stage) -> Stage:
    return await bare_stage.start()


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """Give a port whose backlog is full, so that a connection is never made."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
