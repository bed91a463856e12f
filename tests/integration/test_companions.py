"""Environments have companions of their own, on a real daemon."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest

from spawner.backends.base import Order
from spawner.backends.docker import DockerBackend
from spawner.backends.docker_companions_spec import subnets
from spawner.backends.docker_settings import DockerSettings
from spawner.errors import BackendUnavailable, StartFailed, UnsupportedService
from spawner.services import password_of
from tests.companions import PORT, SERVICES, CompanionRig
from tests.components import require
from tests.contract.test_backend import answers
from tests.cut_docker import cut_docker
from tests.inside import reaches, reaches_from, run_in, run_inside
from tests.outside import outside_world
from tests.waiting import eventually

#: All addresses of this machine.
ALL = "0.0.0.0"


@pytest.fixture
async def rig() -> AsyncIterator[CompanionRig]:
    require("docker", "tiny-image")
    rig = CompanionRig()
    yield rig
    await rig.clear()


@pytest.fixture
async def backend(rig: CompanionRig) -> DockerBackend:
    backend = await rig.make()
    assert isinstance(backend, DockerBackend)
    return backend


async def started(rig: CompanionRig, backend: DockerBackend, *services: str, **more: Any) -> Order:
    order = rig.order_with(*services, **more)
    await answers(order, await backend.start(order))
    return order


def connect(host: str, port: int) -> None:
    socket.create_connection((host, port), 2).close()


async def inspected(rig: CompanionRig, name: str) -> dict[str, Any]:
    return await asyncio.to_thread(rig.client.inspect_container, name)


async def variables(rig: CompanionRig, name: str) -> dict[str, str]:
    found = await inspected(rig, name)
    return dict(one.split("=", 1) for one in found["Config"]["Env"])


async def test_companions_are_reached_by_name_and_their_addresses_are_told(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, "db", "cache")

    assert await reaches(rig, order, "db", PORT)
    assert await reaches(rig, order, "cache", PORT)
    assert not await reaches(rig, order, "cache2", PORT)
    secret = password_of(order.services_key, "db")
    told = await run_inside(rig, order, "sh", "-c", "echo $DB_URL")
    assert told == f"db://me:{secret}@db:{PORT}/course\n"
    own = await variables(rig, rig.companion(order, "db"))
    assert (own["SECRET"], own["DATABASE"], own["VERSION"]) == (secret, "course", "1")


async def test_a_template_chooses_version_and_params(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    wanted = [{"name": "db", "version": "2", "params": {"database": "lab"}}]

    order = await started(rig, backend, services=wanted)

    own = await variables(rig, rig.companion(order, "db"))
    assert (own["DATABASE"], own["VERSION"]) == ("lab", "2")


async def test_a_companion_is_confined_as_an_environment_is(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, "db")

    found = await inspected(rig, rig.companion(order, "db"))
    host = found["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == host["MemorySwap"] == 32 << 20
    assert (host["PidsLimit"], host["CpuQuota"], host["CpuPeriod"]) == (32, 100_000, 100_000)
    assert host["LogConfig"]["Config"]["max-size"]
    assert not host["PortBindings"]
    assert not found["Mounts"]
    with pytest.raises(StartFailed, match=r'runs as root: .* in the service "root"'):
        await backend.start(rig.order_with("root"))


async def test_a_neighbour_does_not_reach_companions(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    mine = await started(rig, backend, "db")
    neighbour = await started(rig, backend, "cache")
    plain = await started(rig, backend)
    address = await rig.address(mine, "db")

    for other in (neighbour, plain):
        assert not await reaches(rig, other, address, PORT)
        assert not await reaches(rig, other, "db", PORT)
    assert await reaches(rig, mine, address, PORT)


async def test_companions_reach_neither_neighbours_nor_this_machine_nor_the_world(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    require("nft")
    mine = await started(rig, backend, "db")
    neighbour = await started(rig, backend, "cache")
    theirs = await rig.address(neighbour, "cache")
    gateway = await rig.gateway(mine)
    companion = rig.companion(mine, "db")
    with outside_world() as outside, socket.create_server((ALL, 0)) as here:
        port = here.getsockname()[1]

        for name in (rig.container(mine), companion):
            assert not await reaches_from(rig, name, gateway, port)
            assert not await reaches_from(rig, name, theirs, PORT)
        assert not await reaches_from(rig, companion, outside.public, 80)

        await asyncio.to_thread(connect, gateway, port)
        await asyncio.to_thread(connect, theirs, PORT)
        assert await reaches(rig, mine, outside.public, 80)


async def test_the_world_does_not_reach_companions(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, "db")
    address = await rig.address(order, "db")

    with outside_world() as outside, socket.create_server((ALL, 0)) as here:
        port = here.getsockname()[1]
        assert not await asyncio.to_thread(outside.reaches, address, PORT)
        assert await asyncio.to_thread(outside.reaches, outside.machine, port)


async def test_without_any_egress_an_environment_still_has_its_companions(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, "db", egress="none")

    with outside_world() as outside:
        assert not await reaches(rig, order, outside.public, 80)
    assert await reaches(rig, order, "db", PORT)


async def test_companions_start_before_their_environment_and_end_after_it(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    since = int(time.time())
    order = await started(rig, backend, "db", "cache")
    await backend.stop(order.id, 0)

    events = rig.client.events(
        since=since,
        until=int(time.time()) + 1,
        filters={"label": f"tmpenv.id={order.id}", "event": ["start", "destroy"]},
        decode=True,
    )
    heard = await asyncio.to_thread(
        lambda: [(one["Action"], one["Actor"]["Attributes"]["name"]) for one in events]
    )
    own, db, cache = (rig.container(order), *(rig.companion(order, n) for n in ("db", "cache")))
    assert heard[:3] == [("start", db), ("start", cache), ("start", own)]
    assert heard[3] == ("destroy", own)
    assert {name for _, name in heard[4:]} == {db, cache}


async def test_nothing_is_left_of_companions(rig: CompanionRig, backend: DockerBackend) -> None:
    order = await started(rig, backend, "db", "cache")
    assert len(await rig.leftovers(order)) == 4

    await backend.stop(order.id, 0)

    assert await rig.leftovers(order) == []
    assert await backend.list() == []


async def test_whatever_a_crash_leaves_is_listed_and_removed(
    rig: CompanionRig, backend: DockerBackend, tmp_path: Path
) -> None:
    """The way to the daemon is cut after each change in turn, of a start and of an end."""
    for after in range(1, 30):
        order = rig.order_with("db", "cache")
        async with cut_docker(tmp_path, after) as way:
            crashed = DockerBackend(rig.instance(), DockerSettings(url=way.url), services=SERVICES)
            with suppress(BackendUnavailable):
                await crashed.start(order)
                await crashed.stop(order.id, 0)
            await crashed.close()
        left = await rig.leftovers(order)
        assert [one.id for one in await backend.list()] == ([order.id] if left else [])
        await backend.stop(order.id, 0)
        assert await rig.leftovers(order) == [], way.made
        if way.left > 0:
            break

    # A network, two companions, an environment that joins it: made, started, removed.
    changes = [" ".join(re.findall("POST|DELETE|create|connect|start", one)) for one in way.made]
    assert changes == [
        *("POST create", "POST create", "POST start", "POST create", "POST start"),
        *("POST create", "POST connect", "POST start"),
        *("DELETE", "DELETE", "DELETE", "DELETE"),
    ]


async def test_what_was_found_without_its_environment_does_not_run(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, "db")
    await asyncio.to_thread(rig.client.remove_container, rig.container(order), force=True)

    (seen,) = await backend.list()

    assert (seen.id, seen.is_running, seen.address) == (order.id, False, None)
    assert (seen.template, seen.digest) == (order.template.name, order.template.digest)
    assert await backend.inspect(order.id) is None
    assert await backend.disk_usage(order.id) is None


async def test_one_that_is_not_ready_in_time_says_which_and_what_it_printed(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = rig.order_with("db", "late")

    with pytest.raises(StartFailed) as caught:
        await backend.start(order)

    text = str(caught.value)
    assert text == 'The service "late" was not ready within 1 s (waiting as ***)'
    assert await backend.inspect(order.id) is None


async def test_one_that_ends_is_not_waited_for(rig: CompanionRig, backend: DockerBackend) -> None:
    with pytest.raises(StartFailed) as caught:
        await backend.start(rig.order_with("ended"))

    text = str(caught.value)
    assert text.startswith('The service "ended" ended before it was ready: exit code 3 (')
    assert "tiny: asked to end" in text


async def test_a_command_says_when_a_companion_is_ready(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = rig.order_with("asked")
    name = rig.companion(order, "asked")
    starting = asyncio.create_task(backend.start(order))

    async def runs() -> bool:
        try:
            return bool((await inspected(rig, name))["State"]["Running"])
        except docker.errors.NotFound:
            return False

    await eventually(runs)
    assert await backend.inspect(order.id) is None
    made = await asyncio.to_thread(rig.client.exec_create, name, ["touch", "/tmp/ready"])
    await asyncio.to_thread(rig.client.exec_start, made["Id"])

    await answers(order, await starting)


async def test_an_end_does_not_wait_for_companions_to_get_ready(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = rig.order_with("asked")
    starting = asyncio.create_task(backend.start(order))

    async def is_there() -> bool:
        return len(await rig.leftovers(order)) == 2

    await eventually(is_there)
    async with asyncio.timeout(20):  # it would wait for a minute
        await backend.stop(order.id, 0)

    with pytest.raises(StartFailed):
        await starting
    assert await rig.leftovers(order) == []


async def test_a_companion_that_fails_is_started_again(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, "db")
    name = rig.companion(order, "db")
    before = (await inspected(rig, name))["State"]["StartedAt"]
    await run_in(rig, name, "sh", "-c", "kill -9 -1")

    async def is_back() -> bool:
        state = (await inspected(rig, name))["State"]
        return state["StartedAt"] != before and await reaches(rig, order, "db", PORT)

    await eventually(is_back)
    assert (await backend.list())[0].is_running


async def test_what_companions_write_counts_as_their_environments(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, "db")
    before = await backend.disk_usage(order.id)
    write = ["sh", "-c", "head -c 3000000 /dev/zero >/tmp/written"]
    made = await asyncio.to_thread(rig.client.exec_create, rig.companion(order, "db"), write)
    await asyncio.to_thread(rig.client.exec_start, made["Id"])

    after = await backend.disk_usage(order.id)

    assert before is not None
    assert after is not None
    assert after - before >= 3_000_000


async def test_a_service_that_is_gone_from_the_configuration_fails_the_start(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    order = rig.order_with("removed")

    with pytest.raises(UnsupportedService):
        await backend.start(order)

    assert await rig.leftovers(order) == []


async def test_more_have_companions_than_docker_has_pools_of_addresses(
    rig: CompanionRig, backend: DockerBackend
) -> None:
    """Docker's own pools end after 31 networks; ours are made with addresses of our choice."""
    orders = [rig.order_with("cache", memory="16M") for _ in range(40)]

    async with asyncio.TaskGroup() as group:
        for order in orders:
            group.create_task(backend.start(order))

    networks = await asyncio.to_thread(
        rig.client.networks, filters={"label": f"tmpenv.instance={rig.instance()}"}
    )
    ours = [one for one in networks if one["Name"].endswith(".private")]
    assert len({one["IPAM"]["Config"][0]["Subnet"] for one in ours}) == 40
    assert await reaches(rig, orders[-1], "cache", PORT)
    async with asyncio.TaskGroup() as group:
        for order in orders:
            group.create_task(backend.stop(order.id, 0))
    assert await backend.list() == []


async def test_a_range_that_is_used_up_is_told() -> None:
    require("docker", "tiny-image")
    rig = CompanionRig(companions_range="198.18.255.0/28")
    backend = await rig.make()
    first, second = rig.order_with("cache"), rig.order_with("cache")
    assert len(list(subnets(rig.settings.companions_range, first.id))) == 1
    await backend.start(first)

    with pytest.raises(StartFailed, match=r"No addresses are left in 198\.18\.255\.0/28"):
        await backend.start(second)

    await backend.stop(first.id, 0)
    await backend.start(second)
    await rig.clear()
