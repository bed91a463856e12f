"""A daemon that goes away and comes back, under one backend."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from spawner.backends.docker import DockerBackend
from spawner.backends.docker_settings import DockerSettings
from spawner.errors import BackendUnavailable
from tests.components import TINY, require
from tests.contract.rigs import DockerRig
from tests.contract.test_backend import answers
from tests.own_docker import OwnDocker


@pytest.fixture(scope="module")
def daemon() -> Iterator[OwnDocker]:
    require("docker", "tiny-image", "dockerd", "root")
    with tempfile.TemporaryDirectory(prefix="td-", ignore_cleanup_errors=True) as directory:
        daemon = OwnDocker(Path(directory))
        daemon.start()
        daemon.load(TINY)
        yield daemon
        daemon.clear()


@pytest.fixture
async def backend(daemon: OwnDocker) -> AsyncIterator[DockerBackend]:
    backend = DockerBackend("own", DockerSettings(url=daemon.url, reach="address"))
    await backend.open()
    yield backend
    await backend.close()


@pytest.mark.parametrize("way", ["kill", "stop"])
async def test_while_it_is_away_nothing_is_known_and_afterwards_all_is(
    daemon: OwnDocker, backend: DockerBackend, way: str
) -> None:
    rig = DockerRig()
    before, after = rig.order(), rig.order()
    rig.client.close()
    address = await backend.start(before)
    await answers(before, address)
    (known,) = await backend.list()
    async with aclosing(backend.endings()) as endings:
        told = asyncio.ensure_future(anext(endings))
        await asyncio.to_thread(getattr(daemon, way))
        with pytest.raises(BackendUnavailable):
            await told

    for call in (
        backend.ping(),
        backend.inspect(before.id),
        backend.list(),
        backend.tail(before.id, 1),
        backend.start(after),
        backend.stop(before.id, 1),
    ):
        with pytest.raises(BackendUnavailable):
            await call
    await asyncio.to_thread(daemon.start)

    assert await backend.list() == [known]
    assert await answers(before, address)
    assert await answers(after, await backend.start(after))
    for order in (before, after):
        await backend.stop(order.id, 1)
    assert await backend.list() == []
