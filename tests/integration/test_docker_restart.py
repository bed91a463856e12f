"""A daemon that goes away and comes back, under one backend."""

import asyncio
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path

import docker
import pytest

from spawner.backends.docker import DockerBackend
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import bridge_name, network_name
from spawner.errors import BackendUnavailable
from tests.components import TINY, require
from tests.contract.rigs import DockerRig
from tests.contract.test_backend import answers
from tests.inside import reaches
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


@contextmanager
def forwarding(*bridges: str) -> Iterator[None]:
    """Let everything from some bridges through the machine's other firewall."""
    rules = [["FORWARD", "-i", bridge, "-j", "ACCEPT"] for bridge in bridges]
    for rule in rules:
        subprocess.run(["iptables", "-I", *rule], check=True)
    yield
    for rule in rules:
        subprocess.run(["iptables", "-D", *rule], check=True)


async def test_our_firewall_needs_none_of_dockers_and_outlasts_the_daemon(
    daemon: OwnDocker,
) -> None:
    """Where no rule is Docker's, and others allow everything, ours hold."""
    require("nft")
    rig = DockerRig(url=daemon.url, reach="address")
    rig.client.close()
    rig.client = docker.APIClient(base_url=daemon.url, version="auto")
    backend, other = await rig.make(), await rig.make("two")
    order, neighbour, foreign = rig.order(), rig.order(), rig.order()
    await backend.start(order)
    addresses = [await backend.start(neighbour), await other.start(foreign)]
    await answers(neighbour, addresses[0])
    await answers(foreign, addresses[1])
    network = rig.client.inspect_network(network_name(rig.instance(), "open"))
    bridges = [bridge_name(network_name(rig.instance(name), "open")) for name in ("one", "two")]

    with socket.create_server(("0.0.0.0", 0)) as listener, forwarding(*bridges):
        places = [(network["IPAM"]["Config"][0]["Gateway"], listener.getsockname()[1])]
        places += [(address.host, address.port) for address in addresses]
        before = [await reaches(rig, order, *place) for place in places]
        await asyncio.to_thread(daemon.kill)
        await asyncio.to_thread(daemon.start)
        after = [await reaches(rig, order, *place) for place in places]
        for bridge in bridges:
            subprocess.run(["nft", "delete", "table", "inet", bridge], check=True)
        without = [await reaches(rig, order, *place) for place in places]

    assert before == after == [False, False, False]
    assert without == [True, True, True]
    await rig.clear()
