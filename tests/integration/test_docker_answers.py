"""How the daemon's answers are read, on a daemon that says what the test wants."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from spawner.backends.base import Order
from spawner.backends.docker import DockerBackend
from spawner.backends.docker_settings import DockerSettings
from spawner.errors import BackendUnavailable, ImageUnavailable, StartFailed, StopFailed
from spawner.model import Template
from tests.integration.scripted_daemon import ScriptedDaemon, scripted_daemon

NETWORK = {"Name": "tmpenv-x", "Labels": {"tmpenv.instance": "x"}, "IPAM": {"Config": None}}
LABELS = {
    "tmpenv.instance": "x",
    "tmpenv.kind": "environment",
    "tmpenv.id": "abc",
    "tmpenv.base_path": "/user/abc/",
    "tmpenv.template": "t",
    "tmpenv.digest": "d",
    "tmpenv.port": "8888",
    "tmpenv.created": "2026-01-01T00:00:00+00:00",
}


def container(status: str = "running", **state: Any) -> dict[str, Any]:
    usual = {"Status": status, "Running": status == "running", "ExitCode": 0, "Error": ""}
    return {
        "Name": "/tmpenv-x-abc",
        "State": usual | state,
        "Config": {"Labels": LABELS, "User": "1000"},
        "NetworkSettings": {"Networks": {"tmpenv-x": {"IPAddress": "172.30.0.2"}}, "Ports": {}},
    }


ORDER = Order(
    id="abc", base_path="/user/abc/", template=Template(name="t", image="an/image"), token=""
)


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[ScriptedDaemon]:
    async with scripted_daemon(tmp_path) as daemon:
        daemon.answers("GET /networks/tmpenv-x", 200, NETWORK)
        daemon.answers("GET /images/an/image/json", 200, {"Config": {"User": "1000"}})
        yield daemon


@pytest.fixture
async def backend(daemon: ScriptedDaemon) -> AsyncIterator[DockerBackend]:
    backend = DockerBackend("x", DockerSettings(url=daemon.url, reach="address"))
    await backend.open()
    yield backend
    await backend.close()


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_a_failing_daemon_is_never_an_absence(
    daemon: ScriptedDaemon, backend: DockerBackend, status: int
) -> None:
    daemon.answers("/containers/", status, {"message": "the disk\nis full"})

    for call in (
        backend.inspect("abc"),
        backend.list(),
        backend.stop("abc", 1),
        backend.tail("abc", 1),
        backend.start(ORDER),
    ):
        with pytest.raises(BackendUnavailable, match="the disk is full"):
            await call


async def test_only_404_is_an_absence(daemon: ScriptedDaemon, backend: DockerBackend) -> None:
    daemon.answers("/containers/", 404, {"message": "No such container"})
    daemon.answers("GET /containers/json", 200, [])
    daemon.answers("GET /networks/tmpenv-x-abc.private", 404, {"message": "No such network"})

    assert await backend.inspect("abc") is None
    assert await backend.tail("abc", 3) == ""
    await backend.stop("abc", 1)


async def test_a_container_of_our_name_that_is_not_ours_is_left_alone(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    stranger = container() | {"Config": {"Labels": {}, "User": "1000"}}
    daemon.answers("POST /containers/create", 409, {"message": "name in use"})
    daemon.answers("GET /containers/tmpenv-x-abc/json", 200, stranger)
    daemon.answers("GET /containers/json", 200, [])
    daemon.answers("GET /networks/tmpenv-x-abc.private", 200, {"Labels": {}})

    with pytest.raises(StartFailed, match="not of this tmpenv"):
        await backend.start(ORDER)
    await backend.stop("abc", 1)

    assert await backend.inspect("abc") is None
    assert not [line for line in daemon.asked if line.startswith("DELETE") or "/stop" in line]


async def test_one_that_was_created_but_not_started_is_started(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    daemon.answers("POST /containers/create", 409, {"message": "name in use"})
    daemon.answers("GET /containers/tmpenv-x-abc/json", 200, container("created"))
    daemon.answers("POST /containers/tmpenv-x-abc/start", 204, "")

    with pytest.raises(StartFailed, match="never started"):
        await backend.start(ORDER)  # the script goes on showing it as created

    assert [line for line in daemon.asked if line.endswith("/start")]


async def test_a_500_that_the_container_itself_explains_is_a_failed_start(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    failed = container("created", Error="driver failed: port is\ntaken")
    daemon.answers("POST /containers/create", 201, {"Id": "1", "Warnings": []})
    daemon.answers("GET /containers/tmpenv-x-abc/json", 200, failed)
    daemon.answers("POST /containers/tmpenv-x-abc/start", 500, {"message": "driver failed"})

    with pytest.raises(StartFailed, match="driver failed: port is taken"):
        await backend.start(ORDER)


async def test_a_start_is_three_calls(daemon: ScriptedDaemon, backend: DockerBackend) -> None:
    daemon.answers("POST /containers/create", 201, {"Id": "1", "Warnings": []})
    daemon.answers("GET /containers/tmpenv-x-abc/json", 200, container())
    daemon.answers("POST /containers/tmpenv-x-abc/start", 204, "")
    await backend.prepare(ORDER.template, lambda _: None)
    await backend.start(ORDER)
    daemon.asked.clear()

    address = await backend.start(ORDER)

    assert str(address) == "172.30.0.2:8888"
    assert len(daemon.asked) == 3


async def test_a_tag_that_was_moved_to_an_image_of_root_is_not_kept_running(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    moved = container() | {"Config": {"Labels": LABELS, "User": ""}}
    daemon.answers("POST /containers/create", 201, {"Id": "1", "Warnings": []})
    daemon.answers("GET /containers/tmpenv-x-abc/json", 200, moved)
    daemon.answers("POST /containers/tmpenv-x-abc/start", 204, "")
    daemon.answers("DELETE /containers/tmpenv-x-abc", 404, {"message": "gone"})

    with pytest.raises(StartFailed, match="runs as root"):
        await backend.start(ORDER)

    assert [line for line in daemon.asked if line.startswith("DELETE")]


async def test_a_refused_removal_is_a_failed_stop(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    daemon.answers("GET /containers/tmpenv-x-abc/json", 200, container("exited"))
    daemon.answers("DELETE /containers/tmpenv-x-abc", 400, {"message": "it is sacred"})

    with pytest.raises(StopFailed, match="it is sacred"):
        await backend.stop("abc", 0)


async def test_a_removal_under_way_is_waited_for(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    daemon.answers("GET /containers/tmpenv-x-abc/json", 404, {"message": "gone"})
    daemon.answers("GET /containers/tmpenv-x-abc/json", 200, container("exited"), times=4)
    daemon.answers("DELETE /containers/tmpenv-x-abc", 409, {"message": "already in progress"})

    await backend.stop("abc", 0)

    assert len([line for line in daemon.asked if line.endswith("abc/json")]) == 5
    assert len([line for line in daemon.asked if line.startswith("DELETE")]) == 1


async def test_a_pull_is_told_in_percent_and_fails_in_dockers_words(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    lines = (
        '{"status": "Pulling fs layer", "id": "a"}\n'
        '{"status": "Downloading", "id": "a", "progressDetail": {"current": 5, "total": 10}}\n'
        '{"error": "toomanyrequests:\\nslow down"}\n'
    )
    daemon.answers("GET /images/an/image/json", 404, {"message": "No such image"})
    daemon.answers("POST /images/create", 200, lines)
    told: list[str] = []

    with pytest.raises(ImageUnavailable, match="toomanyrequests: slow down"):
        await backend.prepare(ORDER.template, told.append)

    assert told == ["pulling an/image: 0 %", "pulling an/image: 35 %"]


async def test_a_registry_that_does_not_answer_makes_the_image_unavailable(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    daemon.answers("GET /images/an/image/json", 404, {"message": "No such image"})
    daemon.answers("POST /images/create", 500, {"message": "dial tcp: no such host"})

    with pytest.raises(ImageUnavailable, match="no such host"):
        await backend.prepare(ORDER.template, lambda _: None)


async def test_a_broken_event_stream_is_said(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    daemon.answers("GET /events", 200, "")

    with pytest.raises(BackendUnavailable):
        await anext(backend.endings())


async def test_a_foreign_network_of_our_name_is_refused(
    daemon: ScriptedDaemon, backend: DockerBackend
) -> None:
    daemon.answers("GET /networks/tmpenv-x", 200, {"Name": "tmpenv-x", "Labels": {}})

    with pytest.raises(BackendUnavailable, match="not of this tmpenv"):
        await backend.open()
