"""A proxy that many tests share; each leaves it without routes."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.integration.chp.rig import CHP, Rig, Started


@pytest.fixture
def ours() -> None:
    """Skip what configurable-http-proxy does otherwise when it is the one that is tested."""
    if CHP:
        pytest.skip("configurable-http-proxy does otherwise")


@pytest.fixture(scope="session", params=[1] if CHP else [1, 3], ids="{}-processes".format)
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Started]:
    flags = [] if CHP else ["--proxy-workers", str(request.param)]
    started = Started(tmp_path_factory.mktemp("chp"), *flags)
    yield started
    started.end()


@pytest.fixture
async def rig(started: Started) -> AsyncIterator[Rig]:
    async with Rig(started) as rig:
        yield rig
