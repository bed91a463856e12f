"""What the docker backend promises beyond the contract, on a real daemon."""

import asyncio
import json
import shutil
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from spawner.backends.base import Order
from spawner.backends.docker import DockerBackend
from spawner.backends.docker_settings import DockerSettings
from spawner.errors import ImageUnavailable, StartFailed
from spawner.model import Address
from tests.components import require
from tests.contract.rigs import SERVER, DockerRig
from tests.contract.test_backend import answers
from tests.images import build
from tests.waiting import eventually

CONNECT = (
    "import socket, sys\n"
    "try:\n"
    "    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()\n"
    "    print('reached')\n"
    "except OSError as error:\n"
    "    print('not reached:', error)\n"
)


@pytest.fixture
async def rig() -> AsyncIterator[DockerRig]:
    require("docker", "tiny-image")
    rig = DockerRig()
    yield rig
    await rig.clear()


@pytest.fixture
async def backend(rig: DockerRig) -> DockerBackend:
    backend = await rig.make()
    assert isinstance(backend, DockerBackend)
    return backend


async def run_inside(rig: DockerRig, order: Order, *command: str) -> str:
    """Run a command in an environment's container; give what it printed."""

    def call() -> str:
        made = rig.client.exec_create(rig.container(order), list(command))
        return rig.client.exec_start(made["Id"]).decode()

    return await asyncio.to_thread(call)


async def inspected(rig: DockerRig, order: Order) -> dict[str, Any]:
    return await asyncio.to_thread(rig.client.inspect_container, rig.container(order))


async def can_reach(rig: DockerRig, order: Order, target: Address) -> bool:
    found = await run_inside(rig, order, "python3", "-c", CONNECT, target.host, str(target.port))
    assert "reached" in found, found
    return not found.startswith("not")


async def test_it_runs_without_any_right(rig: DockerRig, backend: DockerBackend) -> None:
    order = rig.order()

    await answers(order, await backend.start(order))

    status = await run_inside(rig, order, "cat", "/proc/self/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(fields[capabilities], 16) == 0, capabilities
    assert fields["NoNewPrivs"] == "1"
    assert fields["Uid"].split() == ["1000"] * 4
    first = await run_inside(rig, order, "cat", "/proc/1/cmdline")
    assert "init" in first
    found = await inspected(rig, order)
    assert not found["Mounts"]
    assert not found["HostConfig"]["Privileged"]


async def test_processes_memory_and_log_are_bounded(rig: DockerRig, backend: DockerBackend) -> None:
    order = rig.order(memory="64M", pids=20, cpus=0.5)
    await answers(order, await backend.start(order))

    bomb = "import os\nfor n in range(100):\n try:\n  os.fork() or __import__('time').sleep(3)\n"
    forked = await run_inside(
        rig, order, "python3", "-c", bomb + " except OSError as e: print(e); break"
    )
    host = (await inspected(rig, order))["HostConfig"]

    assert "temporarily unavailable" in forked
    assert host["Memory"] == host["MemorySwap"] == 64 << 20
    assert (host["CpuQuota"], host["CpuPeriod"]) == (50_000, 100_000)
    assert host["LogConfig"]["Type"] == "json-file"
    assert int(host["LogConfig"]["Config"]["max-size"]) <= 10 << 20


async def test_of_a_long_log_the_end_is_kept() -> None:
    require("docker", "tiny-image")
    rig = DockerRig(log_size=64 << 10)
    backend = await rig.make()
    chatter = "print 'x' x 99, qq(\n) for 1..9999; print qq(the end\n); sleep 600"
    order = rig.order(command=("perl", "-e", "$|=1;" + chatter))
    await backend.start(order)

    async def has_printed() -> bool:
        return await backend.tail(order.id, 1) == "the end\n"

    assert await eventually(has_printed)
    assert len(await backend.tail(order.id, 9999)) <= 64 << 10
    await rig.clear()


async def test_one_that_takes_too_much_memory_is_told_so(
    rig: DockerRig, backend: DockerBackend
) -> None:
    order = rig.order(memory="16M", env={"TINY_EAT": "200"})
    # It may have died before its start was over.
    with suppress(StartFailed):
        await backend.start(order)

    async def is_told() -> bool:
        seen = await backend.inspect(order.id)
        return seen is not None and seen.detail == "exit code 137, out of memory"

    await eventually(is_told)


async def test_an_image_of_root_is_refused_and_told_why(
    rig: DockerRig, backend: DockerBackend
) -> None:
    template = {"image": "tmpenv-test/base", "command": ("perl", "-e", "sleep 600")}

    with pytest.raises(StartFailed, match='runs as root: set user = "1000:1000" or allow_root'):
        await backend.start(rig.order(**template))
    with pytest.raises(StartFailed, match="runs as root"):
        await backend.start(rig.order(user="0:0"))
    allowed, as_user = rig.order(**template, allow_root=True), rig.order(**template, user="1000")
    await asyncio.gather(backend.start(allowed), backend.start(as_user))

    assert await run_inside(rig, allowed, "id", "-u") == "0\n"
    assert await run_inside(rig, as_user, "id", "-u") == "1000\n"
    assert len(await backend.list()) == 2


async def test_neighbours_do_not_reach_each_other(rig: DockerRig, backend: DockerBackend) -> None:
    first, second = rig.order(), rig.order()
    addresses = [await backend.start(first), await backend.start(second)]
    await answers(second, addresses[1])

    assert not await can_reach(rig, first, addresses[1])
    assert await can_reach(rig, second, addresses[1])


async def test_neighbours_of_another_instance_are_not_reached_either(
    rig: DockerRig, backend: DockerBackend
) -> None:
    other = await rig.make("two")
    first, second = rig.order(), rig.order()
    await backend.start(first)
    address = await other.start(second)
    await answers(second, address)

    assert not await can_reach(rig, first, address)


@pytest.fixture
def outside() -> Iterator[Address]:
    """Listen in a network namespace of its own, beyond this machine as Docker sees it."""
    require("root")
    if shutil.which("ip") is None:
        pytest.fail("iproute2 is missing; tests/provision/provision.sh installs it")
    space, here, there = "tmpenvout", "tmpenvout0", "tmpenvout1"

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    subprocess.run(["ip", "netns", "del", space], check=False, stderr=subprocess.DEVNULL)
    ip("netns", "add", space)
    ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", space)
    ip("addr", "add", "198.51.100.1/30", "dev", here)
    ip("link", "set", here, "up")
    ip("-n", space, "addr", "add", "198.51.100.2/30", "dev", there)
    ip("-n", space, "link", "set", there, "up")
    ip("-n", space, "route", "add", "default", "via", "198.51.100.1")
    command = ["ip", "netns", "exec", space, "perl", str(SERVER)]
    listener = subprocess.Popen(
        command, env={"TMPENV_PORT": "80", "PATH": "/usr/bin:/usr/sbin"}, stdout=subprocess.PIPE
    )
    assert listener.stdout is not None
    listener.stdout.readline()  # it listens now
    yield Address("198.51.100.2", 80)
    listener.terminate()
    listener.wait()
    listener.stdout.close()
    ip("netns", "del", space)


async def test_without_egress_nothing_outside_is_reached_but_it_is_reached_from_here(
    rig: DockerRig, backend: DockerBackend, outside: Address
) -> None:
    free, confined = rig.order(), rig.order(egress="none")
    await answers(free, await backend.start(free))

    address = await backend.start(confined)

    assert await answers(confined, address)
    assert await can_reach(rig, free, outside)
    assert not await can_reach(rig, confined, outside)


async def test_neighbours_without_egress_do_not_reach_each_other(
    rig: DockerRig, backend: DockerBackend
) -> None:
    first, second = rig.order(egress="none"), rig.order(egress="none")
    addresses = [await backend.start(first), await backend.start(second)]
    await answers(second, addresses[1])

    assert not await can_reach(rig, first, addresses[1])


async def test_by_loopback_it_is_reached_at_a_port_of_this_machine() -> None:
    require("docker", "tiny-image")
    rig = DockerRig(reach="loopback")
    backend = await rig.make()
    orders = [rig.order(), rig.order()]

    addresses = [await backend.start(order) for order in orders]

    assert all(await asyncio.gather(*map(answers, orders, addresses)))
    assert {address.host for address in addresses} == {"127.0.0.1"}
    assert {seen.address for seen in await backend.list()} == set(addresses)
    with pytest.raises(StartFailed, match='egress other than "open"'):
        await backend.start(rig.order(egress="none"))
    await rig.clear()


async def test_two_processes_that_open_at_once_make_one_network(rig: DockerRig) -> None:
    backends = [DockerBackend(rig.instance(), rig.settings) for _ in range(6)]
    rig._instances.add("one")

    await asyncio.gather(*(backend.open() for backend in backends))

    name = f"tmpenv-{rig.instance()}"
    found = [each for each in rig.client.networks(names=[name]) if each["Name"] == name]
    assert len(found) == 1
    for backend in backends:
        await backend.close()


async def test_a_network_that_was_removed_is_made_again(
    rig: DockerRig, backend: DockerBackend
) -> None:
    await asyncio.to_thread(rig.client.remove_network, f"tmpenv-{rig.instance()}")
    order = rig.order()

    assert await answers(order, await backend.start(order))


async def test_an_image_that_does_not_exist_is_unavailable_in_dockers_words(
    rig: DockerRig, backend: DockerBackend
) -> None:
    template = rig.template(image="127.0.0.1:1/no/such:image")

    with pytest.raises(ImageUnavailable, match="no/such:image") as failure:
        await backend.prepare(template, lambda _: None)
    with pytest.raises(ImageUnavailable):
        await backend.start(Order(id="abc", base_path="/user/abc/", template=template, token=""))

    assert "refused" in str(failure.value)
    assert "\n" not in str(failure.value)


async def test_an_image_name_that_is_none_is_unavailable(
    rig: DockerRig, backend: DockerBackend
) -> None:
    with pytest.raises(ImageUnavailable, match="invalid reference"):
        await backend.prepare(rig.template(image="No Such"), lambda _: None)


async def test_stop_removes_anonymous_volumes(
    rig: DockerRig, backend: DockerBackend, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM tmpenv-test/tiny\nVOLUME /data\n")
    image = f"tmpenv-test/volume-{rig.instance()}"
    await asyncio.to_thread(build, image, tmp_path)
    order = rig.order(image=image)
    await backend.start(order)
    (mount,) = (await inspected(rig, order))["Mounts"]

    await backend.stop(order.id, 1)

    volumes = await asyncio.to_thread(rig.client.volumes)
    assert mount["Name"] not in {volume["Name"] for volume in volumes["Volumes"] or ()}
    await asyncio.to_thread(rig.client.remove_image, image)


async def test_a_mount_is_there_and_only_that(
    rig: DockerRig, backend: DockerBackend, tmp_path: Any
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "seen").write_text("seen")
    order = rig.order(mounts=[f"{tmp_path}:/shared:ro"])

    await backend.start(order)

    assert await run_inside(rig, order, "ls", "/shared") == "seen\n"
    refused = await run_inside(rig, order, "touch", "/shared/x")
    assert "Read-only" in refused
    with pytest.raises(StartFailed, match="does not exist"):
        await backend.start(rig.order(mounts=[f"{tmp_path}/nothing:/shared"]))


async def test_one_that_takes_no_notice_is_killed_after_its_grace(
    rig: DockerRig, backend: DockerBackend
) -> None:
    order = rig.order(env={"TINY_STUBBORN": "1"})
    await answers(order, await backend.start(order))
    loop = asyncio.get_running_loop()
    began = loop.time()

    await backend.stop(order.id, 0.9)

    assert 0.9 <= loop.time() - began < 10
    assert await rig.leftovers(order) == []


async def test_slow_stops_hold_up_no_start() -> None:
    require("docker", "tiny-image")
    rig = DockerRig(stop_threads=1)
    backend = await rig.make()
    slow = [rig.order(env={"TINY_STUBBORN": "1"}) for _ in range(2)]
    for order in slow:
        await answers(order, await backend.start(order))
    stops = asyncio.gather(*(backend.stop(order.id, 3) for order in slow))
    await asyncio.sleep(0)

    started = rig.order()
    await answers(started, await backend.start(started))

    assert not stops.done()
    await stops
    await rig.clear()


async def test_what_it_ends_itself_is_no_ending(rig: DockerRig, backend: DockerBackend) -> None:
    ended, died = rig.order(), rig.order()
    await backend.start(ended)
    await backend.start(died)

    async with aclosing(backend.endings()) as endings:
        await backend.stop(ended.id, 1)
        await rig.kill(died)
        async with asyncio.timeout(15):
            told = await anext(endings)

    assert told == died.id


async def test_thousands_of_calls_leave_no_connection_open(
    rig: DockerRig, backend: DockerBackend
) -> None:
    await asyncio.gather(*(backend.inspect(f"{number:x}") for number in range(300)))
    before = descriptors()

    await asyncio.gather(*(backend.inspect(f"{number:x}") for number in range(2000)))
    for _ in range(20):
        await asyncio.gather(backend.list(), backend.ping())

    assert descriptors() <= before


def descriptors() -> int:
    return psutil.Process().num_fds()


async def test_the_thread_of_a_closed_stream_ends(rig: DockerRig, backend: DockerBackend) -> None:
    def listening() -> int:
        return sum(thread.name == "docker-events" for thread in threading.enumerate())

    before = listening()
    endings = backend.endings()
    waiting = asyncio.ensure_future(anext(endings))

    async def has_begun() -> bool:
        return listening() > before

    async def has_ended() -> bool:
        return listening() == before

    await eventually(has_begun)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert await eventually(has_ended)


async def test_a_jupyter_environment_answers_with_its_own_command(
    rig: DockerRig, backend: DockerBackend
) -> None:
    require("jupyter-image")
    order = rig.order(image="tmpenv-test/jupyter", memory="512M", pids=128)

    address = await backend.start(order)

    assert await answers(order, address)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    path = f"{order.base_path}api/kernels"
    head = f"GET {path} HTTP/1.0\r\nAuthorization: token {order.token}\r\n\r\n"
    writer.write(head.encode())
    answer = await reader.read()
    writer.close()
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1]) == []


def test_settings_have_a_description_each() -> None:
    assert all(field.description for field in DockerSettings.model_fields.values())
