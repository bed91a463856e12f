"""What a template becomes in the words of the Engine API, and what is read from it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from spawner.backends.base import Order
from spawner.backends.docker_errors import no_answer
from spawner.backends.docker_images import PullProgress
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import (
    bridge_name,
    container_name,
    container_spec,
    is_root,
    network_name,
)
from spawner.backends.docker_view import ending
from spawner.errors import BackendForbidden, BackendUnavailable, StartFailed
from spawner.model import Template

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def spec_of(reach: str = "address", **changes: Any) -> dict[str, Any]:
    template = Template(**({"name": "t", "image": "i"} | changes))
    order = Order(
        id="abc", base_path="/lab1/user/abc/", template=template, token="s3cret", egress_key="out"
    )
    settings = DockerSettings(reach=reach)  # type: ignore[arg-type]
    return container_spec(order, instance="x", created=NOW, settings=settings, gateway="172.30.0.1")


def test_nothing_is_left_open() -> None:
    host = spec_of(memory="64M", cpus=0.5, pids=9)["HostConfig"]

    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == host["MemorySwap"] == 64 << 20
    assert (host["CpuQuota"], host["CpuPeriod"]) == (50_000, 100_000)
    assert host["PidsLimit"] == 9
    assert host["OomScoreAdj"] > 0
    assert (host["IpcMode"], host["CgroupnsMode"]) == ("private", "private")
    assert host["RestartPolicy"] == {"Name": "no"}
    assert host["LogConfig"]["Config"] == {"max-size": str(5 << 20), "max-file": "2"}
    assert not {"Binds", "Mounts", "Privileged", "PortBindings", "AutoRemove"} & set(host)
    assert not {"Devices", "PidMode", "UTSMode", "UsernsMode", "CapAdd", "MaskedPaths"} & set(host)


def test_a_bare_template_leaves_command_and_user_to_the_image() -> None:
    assert not {"Cmd", "User", "Entrypoint"} & set(spec_of())


def test_labels_tell_all_but_the_token() -> None:
    spec = spec_of()

    assert spec["Labels"]["tmpenv.created"] == NOW.isoformat()
    assert spec["Labels"]["tmpenv.instance"] == "x"
    assert "s3cret" not in str(spec["Labels"])
    assert "TMPENV_TOKEN=s3cret" in spec["Env"]


def test_a_command_is_filled_in() -> None:
    assert spec_of(command=["serve", "{ip}:{port}{base_path}"])["Cmd"] == [
        "serve",
        "0.0.0.0:8888/lab1/user/abc/",
    ]


def test_loopback_publishes_a_free_port_on_this_machine_alone() -> None:
    host = spec_of("loopback", port=80)["HostConfig"]

    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}


@pytest.mark.parametrize("egress", ["none", ["example.org"]])
def test_loopback_and_a_narrower_egress_cannot_be_combined(egress: Any) -> None:
    with pytest.raises(StartFailed, match='set reach = "address"'):
        spec_of("loopback", egress=egress)


def test_a_list_of_hosts_has_a_network_and_a_way_out_of_its_own() -> None:
    spec = spec_of(egress=["example.org"], env={"no_proxy": "x"})
    variables = dict(each.split("=", 1) for each in spec["Env"])

    assert spec["HostConfig"]["NetworkMode"] == "tmpenv-x-listed"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        assert variables[name] == "http://abc:out@172.30.0.1:3128"
    assert variables["NO_PROXY"] == "localhost,127.0.0.1,::1"
    assert variables["no_proxy"] == "x"  # the template's own come last


@pytest.mark.parametrize("egress", ["none", ["example.org"]])
def test_only_open_egress_asks_dockers_name_servers(egress: Any) -> None:
    assert spec_of(egress=egress)["HostConfig"]["Dns"] == ["127.0.0.1"]
    assert not {"Dns"} & set(spec_of()["HostConfig"])
    assert not [each for each in spec_of()["Env"] if "proxy" in each.lower()]


def test_no_image_is_said() -> None:
    with pytest.raises(StartFailed, match='"t" has no image'):
        spec_of(image="")


@pytest.mark.parametrize(
    ("text", "read_only"), [("/a:/b", False), ("/a:/b:rw", False), ("/a:/b:ro", True)]
)
def test_a_mount_is_made_of_what_is_there(text: str, read_only: bool) -> None:
    assert spec_of(mounts=[text])["HostConfig"]["Mounts"] == [
        {"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": read_only}
    ]


@pytest.mark.parametrize("text", ["a:/b", "/a", "/a:b", "/a:/b:z", ""])
def test_a_mount_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(StartFailed, match="write"):
        spec_of(mounts=[text])


@pytest.mark.parametrize("user", ["", "0", "00", "root", "0:0", "root:users", ":1000", "0:1000"])
def test_root_is_known_by_all_its_names(user: str) -> None:
    assert is_root(user)


@pytest.mark.parametrize("user", ["1000", "1000:0", "jovyan", "jovyan:root", "rooted"])
def test_others_are_not_root(user: str) -> None:
    assert not is_root(user)


def test_a_bridge_name_fits_the_kernel_and_follows_from_the_network() -> None:
    names = {bridge_name(network_name("x" * 60, egress)) for egress in ("open", "none", "listed")}

    assert len(names) == 3
    assert all(len(name) <= 15 for name in names)


@pytest.mark.parametrize("bad", ["", "a-b", "../a", "a/b", "é"])
def test_an_id_that_could_mean_another_is_impossible(bad: str) -> None:
    with pytest.raises(AssertionError):
        container_name("x", bad)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, "exit code 137, out of memory"),
        ({"Status": "exited", "ExitCode": 1, "OOMKilled": False}, "exit code 1"),
        ({"Status": "created", "ExitCode": 0, "Error": "no"}, "never started: no"),
    ],
)
def test_an_ending_is_told_in_a_few_words(state: dict[str, Any], text: str) -> None:
    assert ending(state) == text


def test_a_forbidden_socket_says_what_to_do_however_deep_it_hides() -> None:
    refused = PermissionError(13, "Permission denied")
    aborted = ConnectionError("Connection aborted.", refused)

    found = no_answer(RuntimeError("while fetching", aborted))

    assert isinstance(found, BackendForbidden)
    assert "docker" in str(found)
    assert "root" in str(found)


def test_an_absent_daemon_says_what_to_do() -> None:
    found = no_answer(OSError("x", FileNotFoundError(2, "No such file")))

    assert type(found) is BackendUnavailable
    assert "start it" in str(found)


def test_a_pull_is_condensed_to_percentages_of_what_is_not_here_that_grow() -> None:
    progress = PullProgress("i")
    entries = [
        {"status": "Pulling from x", "id": "latest"},
        {"status": "Already exists", "id": "here"},
        {"status": "Pulling fs layer", "id": "a"},
        {"status": "Pulling fs layer", "id": "b"},
        {"status": "Already exists", "id": "b"},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 1, "total": 2}},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 1, "total": 2}},
        {"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 2}},
        {"status": "Pull complete", "id": "a"},
        {"status": "Digest: sha256:…"},
    ]

    lines = [line for entry in entries if (line := progress.line(entry))]

    assert lines == [f"pulling i: {percent} %" for percent in (0, 50, 67, 92, 100)]
