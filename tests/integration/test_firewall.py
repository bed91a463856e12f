"""What an environment reaches by default, tried from inside a container.

Each test has something that is reached in the same way: so what is blocked is blocked,
and not merely a probe that does not work.
"""

import asyncio
import os
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spawner.backends import docker_firewall
from spawner.backends.docker import DockerBackend
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import bridge_name, network_name
from spawner.errors import StartFailed
from tests.components import TINY, require
from tests.contract.rigs import DockerRig
from tests.contract.test_backend import answers
from tests.images import build
from tests.inside import gets_answer, reaches, run_inside
from tests.outside import Outside, outside_world


@pytest.fixture
async def rig() -> AsyncIterator[DockerRig]:
    require("docker", "tiny-image", "root", "nft")
    rig = DockerRig()
    yield rig
    await rig.clear()


@pytest.fixture
def world() -> Iterator[Outside]:
    with outside_world() as world:
        yield world


@contextmanager
def host_service() -> Iterator[int]:
    """Listen on all addresses of this machine, as a careless service does; give its port."""
    with socket.create_server(("0.0.0.0", 0)) as listener:
        yield listener.getsockname()[1]


def bridge_of(rig: DockerRig, kind: str = "open", name: str = "one") -> str:
    return bridge_name(network_name(rig.instance(name), kind))


def gateway_of(rig: DockerRig, kind: str = "open", name: str = "one") -> str:
    network = rig.client.inspect_network(network_name(rig.instance(name), kind))
    gateway: str = network["IPAM"]["Config"][0]["Gateway"]
    return gateway


def nft(*words: str) -> None:
    subprocess.run(["nft", *words], check=True)


async def test_no_service_of_this_machine_is_reached_at_any_of_its_addresses(
    rig: DockerRig, world: Outside
) -> None:
    backend, other = await rig.make(), await rig.make("two")
    order, elsewhere = rig.order(), rig.order()
    await backend.start(order)
    await other.start(elsewhere)
    with host_service() as port:
        addresses = [gateway_of(rig), gateway_of(rig, name="two"), "172.17.0.1", "198.51.100.5"]

        met = [await reaches(rig, order, address, port) for address in addresses]
        met_world = await reaches(rig, order, world.public, 80)
        nft("delete", "table", "inet", bridge_of(rig))
        met_without = [await reaches(rig, order, address, port) for address in addresses]

    assert not any(met)
    assert met_world
    assert all(met_without)  # so it was the firewall


async def test_a_port_that_is_listed_is_reached_and_its_neighbour_is_not(rig: DockerRig) -> None:
    with host_service() as allowed, host_service() as forbidden:
        rig.settings = rig.settings.model_copy(update={"host_ports": (allowed,)})
        backend = await rig.make()
        order = rig.order()
        await backend.start(order)

        assert await reaches(rig, order, gateway_of(rig), allowed)
        assert not await reaches(rig, order, gateway_of(rig), forbidden)


async def test_no_metadata_service_is_reached_but_its_name_server_is(
    rig: DockerRig, world: Outside
) -> None:
    backend = await rig.make()
    order = rig.order()
    await backend.start(order)

    assert not await reaches(rig, order, world.metadata, 80)
    assert await gets_answer(rig, order, world.metadata, 53)
    assert await reaches(rig, order, world.public, 80)
    assert await reaches(rig, order, world.private, 80)


async def test_a_private_network_that_is_denied_is_not_reached(
    rig: DockerRig, world: Outside
) -> None:
    usual = rig.settings.denied_networks
    changed = {"denied_networks": [*map(str, usual), "10.0.0.0/8", "10.213.0.0/16"]}
    rig.settings = type(rig.settings).model_validate(changed)
    backend = await rig.make()
    order = rig.order()
    await backend.start(order)

    assert not await reaches(rig, order, world.private, 80)
    assert await reaches(rig, order, world.public, 80)


async def test_an_environment_answers_those_who_come_by_a_published_port() -> None:
    require("docker", "tiny-image", "root", "nft")
    rig = DockerRig(reach="loopback")
    backend = await rig.make()
    order = rig.order()

    address = await backend.start(order)

    assert address.host == "127.0.0.1"
    assert await answers(order, address)
    with host_service() as port:
        assert not await reaches(rig, order, gateway_of(rig), port)
        # Nor does a port that is published lead to a neighbour by way of this machine.
        assert not await reaches(rig, order, gateway_of(rig), address.port)
    await rig.clear()


@pytest.mark.parametrize("egress", ["open", "none"])
async def test_no_neighbour_is_reached_on_any_port_or_bridge(rig: DockerRig, egress: str) -> None:
    backend, other = await rig.make(), await rig.make("two")
    order, neighbour, internal, foreign = (
        rig.order(egress=egress),
        rig.order(egress=egress),
        rig.order(egress="none" if egress == "open" else "open"),
        rig.order(),
    )
    await backend.start(order)
    addresses = [await backend.start(neighbour), await backend.start(internal)]
    addresses.append(await other.start(foreign))
    for one, address in zip((neighbour, internal, foreign), addresses, strict=True):
        await answers(one, address)

    for address in addresses:
        assert not await reaches(rig, order, address.host, address.port)
        # Nobody listens there, and nobody refuses.
        assert not await reaches(rig, order, address.host, address.port + 1)
    assert await reaches(rig, neighbour, addresses[0].host, addresses[0].port)
    assert await reaches(rig, neighbour, addresses[0].host, addresses[0].port + 1)


async def test_neither_raw_packets_nor_ipv6_lead_around_it(rig: DockerRig) -> None:
    backend = await rig.make()
    order = rig.order()
    await backend.start(order)
    attempt = "import socket as s; s.socket(s.{}, s.{}, {}); print('made')"

    def tried(family: str, kind: str, protocol: int) -> tuple[str, ...]:
        return ("python3", "-c", attempt.format(family, kind, protocol))

    for family, protocol in (("AF_PACKET", 3), ("AF_INET", 1)):
        refused = await run_inside(rig, order, *tried(family, "SOCK_RAW", protocol))
        assert "not permitted" in refused
    assert await run_inside(rig, order, *tried("AF_INET", "SOCK_STREAM", 0)) == "made\n"
    addresses = await run_inside(rig, order, "cat", "/proc/net/if_inet6")
    assert "eth0" not in addresses  # no link-local address to begin from


async def test_without_egress_nothing_is_reached_nor_any_name_asked_for(
    rig: DockerRig, world: Outside
) -> None:
    backend = await rig.make()
    order, free = rig.order(egress="none"), rig.order()
    address = await backend.start(order)
    await backend.start(free)

    assert await answers(order, address)
    with host_service() as port:
        assert not await reaches(rig, order, gateway_of(rig, "none"), port)
    assert not await reaches(rig, order, world.public, 80)
    assert not await gets_answer(rig, order, world.public, 53)
    assert await gets_answer(rig, free, world.public, 53)
    resolver = await run_inside(rig, order, "cat", "/etc/resolv.conf")
    assert "nameserver 127.0.0.11" in resolver  # Docker's, which asks the container itself
    lookup = "import socket; print(socket.getaddrinfo('secret.example.org', 80))"
    assert "gaierror" in await run_inside(rig, order, "python3", "-c", lookup)


async def test_rules_that_were_flushed_come_back(rig: DockerRig) -> None:
    backend = await rig.make()
    assert isinstance(backend, DockerBackend)
    order = rig.order()
    await backend.start(order)
    with host_service() as port:
        nft("delete", "table", "inet", bridge_of(rig))
        assert await reaches(rig, order, gateway_of(rig), port)

        await backend._networks.sweep()

        assert not await reaches(rig, order, gateway_of(rig), port)


async def test_instances_leave_each_others_rules_alone(rig: DockerRig) -> None:
    with host_service() as port:
        first = await rig.make()
        rig.settings = rig.settings.model_copy(update={"host_ports": (port,)})
        second = await rig.make("two")
        closed, open_ = rig.order(), rig.order()
        await first.start(closed)
        await second.start(open_)

        for backend in (second, first):
            assert isinstance(backend, DockerBackend)
            await backend._networks.sweep()

        assert not await reaches(rig, closed, gateway_of(rig), port)
        found = await run_inside(
            rig,
            open_,
            *("perl", "-MIO::Socket::INET", "-e"),
            f"print IO::Socket::INET->new('{gateway_of(rig, name='two')}:{port}') ? 'yes' : 'no'",
            instance="two",
        )
        assert found == "yes"


async def test_rules_outlive_tmpenv_and_go_once_their_bridge_has_gone(rig: DockerRig) -> None:
    def tables() -> str:
        listed = subprocess.run(["nft", "list", "tables"], check=True, capture_output=True)
        return listed.stdout.decode()

    await (await rig.make("gone")).close()
    assert bridge_of(rig, name="gone") in tables()
    await asyncio.to_thread(rig.client.remove_network, network_name(rig.instance("gone"), "open"))

    await rig.make()

    assert bridge_of(rig, name="gone") not in tables()
    assert bridge_of(rig) in tables()


async def test_where_tmpenv_may_not_a_container_sets_the_firewall_up(
    rig: DockerRig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    image = f"tmpenv-test/nft-{rig.instance()}"
    await asyncio.to_thread(build_nft, image, tmp_path)
    monkeypatch.setattr(docker_firewall, "_INTERFACES", Path("/nowhere"))
    rig.settings = rig.settings.model_copy(update={"firewall": "require", "firewall_image": image})
    backend = await rig.make()
    order = rig.order()

    await backend.start(order)

    assert backend.gap == ""
    with host_service() as port:
        assert not await reaches(rig, order, gateway_of(rig), port)
    helpers = rig.client.containers(all=True, filters={"label": "tmpenv.kind=firewall"})
    assert not [one for one in helpers if one["Image"] == image]
    await asyncio.to_thread(rig.client.remove_image, image)


def build_nft(image: str, directory: Path) -> None:
    """Make an image of what this machine's nft needs, whatever distribution it is from."""
    nft = subprocess.run(["which", "nft"], check=True, capture_output=True, text=True)
    needs = subprocess.run(["ldd", nft.stdout.strip()], check=True, capture_output=True, text=True)
    files = [word for word in needs.stdout.split() if word.startswith("/")]
    for file in (nft.stdout.strip(), *files):
        (directory / Path(file).name).write_bytes(Path(file).read_bytes())
    loader = next(Path(file).name for file in files if "/ld-" in file)
    (directory / "run").write_text(
        f'#!/bin/sh\nexec /nft/{loader} --library-path /nft /nft/nft "$@"\n'
    )
    (directory / "Dockerfile").write_text(
        f"FROM {TINY}\nUSER 0\nCOPY . /nft/\nRUN chmod 755 /nft/* && ln -s /nft/run /usr/sbin/nft\n"
    )
    build(image, directory)


@pytest.mark.parametrize("reason", ["nft is not installed", "br_netfilter"])
async def test_where_it_cannot_be_had_this_is_said_and_what_requires_it_is_not_started(
    rig: DockerRig, monkeypatch: pytest.MonkeyPatch, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    if reason == "br_netfilter":
        monkeypatch.setattr(docker_firewall, "_BRIDGED", Path("/nowhere"))
    else:
        monkeypatch.setattr(docker_firewall, "_SYSTEM_PATH", "/nowhere")
        monkeypatch.setenv("PATH", "/nowhere")
    backend = await rig.make()
    assert reason in backend.gap
    assert await backend.start(rig.order())  # it was said, and that is all
    assert "firewall.missing" in {getattr(record, "event", "") for record in caplog.records}

    rig.settings = rig.settings.model_copy(update={"firewall": "require"})
    strict = await rig.make("two")
    with pytest.raises(StartFailed, match=f'docker.firewall is "require".*{reason}'):
        await strict.start(rig.order())
    monkeypatch.undo()
    assert await strict.start(rig.order())
    assert strict.gap == ""


async def test_it_can_be_left_to_the_operator(rig: DockerRig) -> None:
    rig.settings = rig.settings.model_copy(update={"firewall": "off"})
    backend = await rig.make()
    order = rig.order()
    await backend.start(order)

    with host_service() as port:
        assert await reaches(rig, order, gateway_of(rig), port)
    assert backend.gap == ""


@pytest.mark.parametrize("is_walled", [True, False])
async def test_a_build_reaches_no_service_of_this_machine_where_that_is_set(
    rig: DockerRig, is_walled: bool
) -> None:
    backend = DockerBackend(rig.instance("one"), DockerSettings(firewall_default=is_walled))
    await backend.open()
    try:
        with host_service() as port:
            met = await asyncio.to_thread(_build_reaches, "172.17.0.1", port)
    finally:
        await backend.close()
        if is_walled:
            nft("delete", "table", "inet", "docker0")

    assert met is not is_walled


def _build_reaches(host: str, port: int) -> bool:
    """Say whether a step of a build gets a connection."""
    probe = f"exec 3<>/dev/tcp/{host}/{port}"
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        (Path(directory) / "Dockerfile").write_text(
            f"FROM {TINY}\nRUN timeout 2 bash -c '{probe}' && echo reached || echo blocked\n"
        )
        done = subprocess.run(
            ["docker", "build", "--no-cache", "--rm", directory],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"DOCKER_BUILDKIT": "0"},
        )
    assert ("\nreached\n" in done.stdout) is not ("\nblocked\n" in done.stdout), done.stdout
    return "\nreached\n" in done.stdout
