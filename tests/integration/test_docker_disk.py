"""How much a container has written, and daemons that hold it to a size themselves."""

import asyncio
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from spawner.backends.base import Order
from spawner.backends.docker import DockerBackend
from spawner.backends.docker_settings import DockerSettings
from spawner.errors import BackendUnavailable
from spawner.model import Template
from tests.components import TINY, require
from tests.contract.rigs import DockerRig
from tests.contract.test_backend import answers
from tests.images import build
from tests.integration.scripted_daemon import ScriptedDaemon, scripted_daemon
from tests.integration.test_docker_answers import NETWORK, container
from tests.own_docker import OwnDocker

MIB = 1 << 20
REFUSAL = "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"
XFS = {"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "xfs"]]}
WITH_VOLUME = f"FROM {TINY}\nUSER root\nRUN mkdir -m 777 /data\nVOLUME /data\nUSER 1000:1000\n"


def order(environment_id: str) -> Order:
    template = Template(name="t", image="an/image", disk=5 * MIB)
    return Order(
        id=environment_id, base_path=f"/user/{environment_id}/", template=template, token=""
    )


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[ScriptedDaemon]:
    async with scripted_daemon(tmp_path) as daemon:
        image = {"Config": {"User": "1000"}, "Size": 7 * MIB}
        daemon.answers("GET /networks/tmpenv-x", 200, NETWORK)
        daemon.answers("GET /images/an/image/json", 200, image)
        daemon.answers("POST /containers/create", 201, {"Id": "1", "Warnings": []})
        daemon.answers("POST /start", 204, "")
        daemon.answers("GET /containers/tmpenv-x-", 200, container())
        yield daemon


@pytest.fixture
async def scripted(daemon: ScriptedDaemon) -> AsyncIterator[DockerBackend]:
    backend = DockerBackend("x", DockerSettings(url=daemon.url, reach="address"))
    await backend.open()
    yield backend
    await backend.close()


def limits(daemon: ScriptedDaemon) -> list[Any]:
    return [spec["HostConfig"].get("StorageOpt") for spec in daemon.specs]


async def test_where_the_driver_can_each_container_is_held_to_its_size(
    daemon: ScriptedDaemon, scripted: DockerBackend
) -> None:
    daemon.answers("GET /info", 200, XFS)

    await scripted.start(order("a"))
    await scripted.start(order("b"))

    assert limits(daemon) == [{"size": str(5 * MIB)}] * 2
    assert len([line for line in daemon.asked if line.endswith("/info")]) == 1


async def test_where_quotas_are_off_the_daemon_says_so_once_and_is_not_asked_again(
    daemon: ScriptedDaemon, scripted: DockerBackend
) -> None:
    daemon.answers("GET /info", 200, XFS)
    daemon.answers("POST /containers/create", 500, {"message": REFUSAL}, times=1)

    await scripted.start(order("a"))
    await scripted.start(order("b"))

    assert limits(daemon) == [{"size": str(5 * MIB)}, None, None]


async def test_a_daemon_that_keeps_its_driver_to_itself_is_asked_for_no_limit(
    daemon: ScriptedDaemon, scripted: DockerBackend
) -> None:
    daemon.answers("GET /info", 403, {"message": "not for you"})

    await scripted.start(order("a"))

    assert limits(daemon) == [None]


@pytest.mark.parametrize("layer", [-1, 100])
async def test_what_the_daemon_could_not_measure_is_no_answer(
    daemon: ScriptedDaemon, scripted: DockerBackend, layer: int
) -> None:
    volume = {"Type": "volume", "Name": "v"}
    labels = {"tmpenv.kind": "environment"}
    measured = {"SizeRw": layer, "Mounts": [volume], "Labels": labels}
    daemon.answers("GET /containers/json", 200, [measured])
    unknown = {"Name": "v", "UsageData": {"Size": -1}}
    daemon.answers("GET /system/df", 200, {"Volumes": [unknown]})

    with pytest.raises(BackendUnavailable, match="could not measure"):
        await scripted.disk_usage("a")


async def test_an_anonymous_volume_counts_too(tmp_path: Path) -> None:
    require("docker", "tiny-image")
    (tmp_path / "Dockerfile").write_text(WITH_VOLUME)
    image = "tmpenv-test/with-volume"
    await asyncio.to_thread(build, image, tmp_path)
    rig = DockerRig()
    try:
        backend = await rig.make()
        writer, other = rig.order(image=image), rig.order(image=image)
        for one in (writer, other):
            await answers(one, await backend.start(one))
        await rig.write(writer, MIB)
        await rig.run(writer, "sh", "-c", f"head -c {4 * MIB} /dev/zero >/data/written")

        used = await backend.disk_usage(writer.id)

        assert used is not None
        assert 5 * MIB <= used < 6 * MIB
        assert await backend.disk_usage(other.id) in range(MIB)
    finally:
        await rig.clear()
        docker.from_env().images.remove(image)


@pytest.fixture
def own_daemon() -> Iterator[OwnDocker]:
    """A daemon whose data is on a file system that holds directories to a size."""
    require("docker", "tiny-image", "dockerd", "root", "btrfs")
    with tempfile.TemporaryDirectory(prefix="td-", ignore_cleanup_errors=True) as directory:
        disk, place = Path(directory, "disk"), Path(directory, "d")
        place.mkdir()
        with disk.open("wb") as file:
            file.truncate(2 << 30)
        subprocess.run(["mkfs.btrfs", "--quiet", disk], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", disk, place], check=True)
        daemon = OwnDocker(place)
        try:
            daemon.start()
            daemon.load(TINY)
            yield daemon
        finally:
            daemon.clear()
            subprocess.run(["umount", "--lazy", place], check=True)


async def test_a_daemon_that_can_lets_nobody_write_more_than_its_limit(
    own_daemon: OwnDocker,
) -> None:
    rig = DockerRig(url=own_daemon.url, reach="address")
    backend = await rig.make()
    greedy, frugal = rig.order(disk=40 * MIB), rig.order(disk=40 * MIB)
    for one in (greedy, frugal):
        await answers(one, await backend.start(one))

    within = await rig.run(frugal, "dd", "if=/dev/zero", "of=/tmp/x", "bs=1M", "count=20")
    beyond = await rig.run(greedy, "dd", "if=/dev/zero", "of=/tmp/x", "bs=1M", "count=80")

    assert "20971520 bytes" in within
    assert "Disk quota exceeded" in beyond
    used = await backend.disk_usage(greedy.id)
    assert used is not None
    assert 20 * MIB < used <= 40 * MIB
    await rig.clear()
