"""What a visitor can do from inside a container, with nothing but a shell in it.

Each test has a control beside it: the same attempt where it must succeed, so that
a probe which is broken is not taken for a wall.
"""

import asyncio
import json
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from spawner.backends.base import Order
from spawner.backends.docker import DockerBackend
from tests.components import TINY, require
from tests.contract.rigs import DockerRig
from tests.contract.test_backend import answers, ask
from tests.images import build
from tests.own_docker import OwnDocker
from tests.waiting import eventually

MIB = 1 << 20
SETUID = "tmpenv-test/setuid"
NAMESPACES = ("cgroup", "ipc", "mnt", "net", "pid", "uts")
EATS_WHEN_TOLD = (
    "perl /server.pl & while [ ! -e /tmp/eat ]; do sleep 0.1; done; exec perl -e '$x = q(x) x 2e8'"
)
#: What Docker masks, as far as this kernel has it.
MASKED = ("kcore", "keys", "timer_list", "sched_debug", "acpi", "asound", "scsi", "latency_stats")
#: Tries to open files for writing, and to make a device; tells what came of each.
TRY_AS_ROOT = """
import errno, json, os, stat, sys
def tell(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
told = {path: tell(lambda: os.close(os.open(path, os.O_WRONLY))) for path in sys.argv[1:]}
told["fifo"] = tell(lambda: os.mkfifo("/tmp/fifo"))
told["device"] = tell(lambda: os.mknod("/tmp/disk", 0o600 | stat.S_IFBLK, os.makedev(8, 0)))
modes = {name: os.stat(f"/dev/{name}").st_mode for name in os.listdir("/dev")}
told["disks"] = [name for name, mode in modes.items() if stat.S_ISBLK(mode)]
print(json.dumps(told))
"""


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


@pytest.fixture
def setuid_image(tmp_path: Path) -> Iterator[str]:
    """An image in which ``su-id`` runs as root for whoever calls it."""
    require("docker", "tiny-image")
    steps = "USER root\nRUN cp /usr/bin/id /usr/bin/su-id && chmod 4755 /usr/bin/su-id\n"
    (tmp_path / "Dockerfile").write_text(f"FROM {TINY}\n{steps}USER 1000:1000\n")
    build(SETUID, tmp_path)
    yield SETUID
    client = docker.from_env()
    client.images.remove(SETUID)
    client.close()


async def started(rig: DockerRig, backend: DockerBackend, **template: Any) -> Order:
    order = rig.order(**template)
    await answers(order, await backend.start(order))
    return order


async def begin(rig: DockerRig, order: Order, *command: str) -> None:
    """Have an environment run a command, and do not wait for it."""

    def call() -> None:
        made = rig.client.exec_create(rig.container(order), list(command))
        rig.client.exec_start(made["Id"], detach=True)

    await asyncio.to_thread(call)


async def python(rig: DockerRig, order: Order, program: str, *words: str) -> Any:
    """Run a program inside; give the JSON that it prints."""
    return json.loads(await rig.run(order, "python3", "-c", program, *words))


async def test_a_setuid_program_gives_nobody_root(
    setuid_image: str, rig: DockerRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, image=setuid_image)
    plainly = ["docker", "run", "--rm", "--network=none", setuid_image, "su-id", "-u"]

    inside = await rig.run(order, "su-id", "-u")

    assert inside == "1000\n"
    control = await asyncio.to_thread(subprocess.check_output, plainly)
    assert control == b"0\n"


async def test_it_runs_under_the_filter_of_system_calls_and_without_rights(
    rig: DockerRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend)

    status = await rig.run(order, "cat", "/proc/self/status")

    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Seccomp"] == "2"
    assert fields["NoNewPrivs"] == "1"
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["Uid"].split() == ["1000"] * 4
    control = Path("/proc/self/status").read_text()
    assert "Seccomp:\t2" not in control
    assert "NoNewPrivs:\t0" in control


@pytest.fixture
def mapping_daemon() -> Iterator[OwnDocker]:
    require("docker", "tiny-image", "dockerd", "root")
    with tempfile.TemporaryDirectory(prefix="td-", ignore_cleanup_errors=True) as directory:
        Path(directory).chmod(0o711)  # those whom users are mapped to must get through
        daemon = OwnDocker(Path(directory))
        daemon.start("--userns-remap=default")
        daemon.load(TINY)
        yield daemon
        daemon.clear()


async def test_where_the_daemon_maps_users_root_inside_is_nobody_outside(
    mapping_daemon: OwnDocker,
) -> None:
    rig = DockerRig(url=mapping_daemon.url, reach="address")
    backend = await rig.make()
    assert isinstance(backend, DockerBackend)
    order = await started(rig, backend, user="0:0", allow_root=True)

    assert await rig.run(order, "id", "-u") == "0\n"

    first = rig.client.inspect_container(rig.container(order))["State"]["Pid"]
    assert psutil.Process(first).uids().effective >= 100000
    await rig.clear()


async def test_a_fork_bomb_is_contained_and_hurts_neither_neighbour_nor_host(
    rig: DockerRig, backend: DockerBackend
) -> None:
    most = 24
    bomber = await started(rig, backend, pids=most, cpus=0.2)
    neighbour = rig.order()
    address = await backend.start(neighbour)
    await answers(neighbour, address)

    await begin(rig, bomber, "perl", "-e", "fork while 1")

    async def processes() -> int:
        top = await asyncio.to_thread(rig.client.top, rig.container(bomber))
        return len(top["Processes"])

    async def is_full() -> bool:
        return await processes() >= most - 1

    await eventually(is_full)
    for _ in range(5):
        assert await processes() <= most
        assert await ask(address, neighbour.base_path) == 200
        subprocess.run(["true"], check=True)
    await backend.stop(bomber.id, 0)
    assert await rig.leftovers(bomber) == []


async def test_memory_beyond_the_limit_is_not_to_be_had_from_swap_or_shared_memory_either(
    rig: DockerRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, memory="48M")
    take = "print length('x' x ($ARGV[0] << 20)) >> 20"
    fill = "head -c $0 /dev/zero >/dev/shm/x && echo written; rm -f /dev/shm/x"

    within = await rig.run(order, "perl", "-e", take, "8")
    shared = await rig.run(order, "sh", "-c", fill, str(8 * MIB))
    beyond = await rig.run(order, "perl", "-e", take, "200")

    assert (within, shared) == ("8", "written\n")
    assert beyond == ""
    assert "written" not in await rig.run(order, "sh", "-c", fill, str(60 * MIB))


async def test_one_that_dies_of_its_memory_is_told_so_and_its_neighbour_lives(
    rig: DockerRig, backend: DockerBackend
) -> None:
    hungry = await started(rig, backend, memory="32M", command=EATS_WHEN_TOLD)
    modest = rig.order(memory="32M")
    address = await backend.start(modest)
    await answers(modest, address)

    await rig.run(hungry, "touch", "/tmp/eat")  # inside

    async def how_it_ended() -> str:
        seen = await backend.inspect(hungry.id)
        return seen.detail if seen else ""

    assert await eventually(how_it_ended) == "exit code 137, out of memory"
    assert await ask(address, modest.base_path) == 200


async def test_processors_are_limited(rig: DockerRig, backend: DockerBackend) -> None:
    share = 0.2
    order = await started(rig, backend, cpus=share)

    await begin(rig, order, "perl", "-e", "fork; fork; 1 while 1")

    async def is_throttled() -> bool:
        (stats, rate) = await asyncio.to_thread(measure)
        assert rate < 2 * share, stats
        return bool(stats["cpu_stats"]["throttling_data"]["throttled_periods"] > 5)

    def measure() -> tuple[dict[str, Any], float]:
        stats = rig.client.stats(rig.container(order), stream=False)
        times = [datetime.fromisoformat(stats[key][:26]) for key in ("preread", "read")]
        before, after = (
            stats[key]["cpu_usage"]["total_usage"] for key in ("precpu_stats", "cpu_stats")
        )
        return stats, (after - before) / 1e9 / (times[1] - times[0]).total_seconds()

    await eventually(is_throttled)


async def test_the_docker_socket_is_nowhere(rig: DockerRig, backend: DockerBackend) -> None:
    sockets = "find / -xdev -type s 2>/dev/null; find / -name 'docker*.sock' 2>/dev/null"
    order = await started(rig, backend)
    exposed = await started(rig, backend, mounts=["/var/run/docker.sock:/run/docker.sock:ro"])

    found = await rig.run(order, "sh", "-c", sockets)

    assert found == ""
    assert "docker.sock" in await rig.run(exposed, "sh", "-c", sockets)


async def test_of_the_host_only_what_is_mounted_is_there_and_as_it_is_mounted(
    rig: DockerRig, backend: DockerBackend, tmp_path: Path
) -> None:
    for name in ("kept", "shared", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    tmp_path.chmod(0o755)
    mounts = [f"{tmp_path}/kept:/kept:ro", f"{tmp_path}/shared:/shared:rw"]
    order = await started(rig, backend, mounts=mounts)
    write = "for d in kept shared; do touch /$d/x && echo $d; done 2>&1; ls -d $0"

    told = await rig.run(order, "sh", "-c", write, str(tmp_path))

    assert "Read-only file system" in told
    assert "shared\n" in told
    assert "No such file" in told
    assert [path.name for path in sorted(tmp_path.glob("*/x"))] == ["x"]
    assert (tmp_path / "shared" / "x").exists()


async def test_even_root_inside_cannot_touch_the_kernel_or_a_device(
    rig: DockerRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, user="0:0", allow_root=True)
    kernel = ("/proc/sys/kernel/panic", "/proc/sys/vm/overcommit_memory")

    told = await python(rig, order, TRY_AS_ROOT, *kernel, "/proc/self/comm")

    assert [told[path] for path in kernel] == ["EROFS", "EROFS"]
    assert told["device"] == "EPERM"
    assert told["disks"] == []
    assert (told["/proc/self/comm"], told["fifo"]) == ("done", "done")
    assert "sysfs ro," in await rig.run(order, "grep", " /sys ", "/proc/mounts")
    assert any(path.is_block_device() for path in Path("/dev").iterdir())


async def test_what_the_kernel_tells_of_the_machine_is_masked(
    rig: DockerRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend, user="0:0", allow_root=True)
    here = [f"/proc/{name}" for name in MASKED if Path("/proc", name).exists()]
    look = "for p in $@; do if [ -d $p ]; then ls $p; else head -c 9 $p; fi; done"

    told = await rig.run(order, "sh", "-c", look, "sh", *here)

    assert told == ""
    control = await asyncio.to_thread(subprocess.check_output, ["sh", "-c", look, "sh", *here])
    assert control


async def test_each_has_namespaces_of_its_own(rig: DockerRig, backend: DockerBackend) -> None:
    orders = [await started(rig, backend) for _ in range(2)]
    look = "import json, os\nprint(json.dumps([os.readlink('/proc/self/ns/' + n) for n in %r]))"

    inside = [await python(rig, order, look % (NAMESPACES,)) for order in orders]

    host = [str(Path("/proc/self/ns", name).readlink()) for name in NAMESPACES]
    for name, *links in zip(NAMESPACES, *inside, host, strict=True):
        assert len(set(links)) == 3, f"{name} is shared: {links}"


async def test_what_one_writes_no_other_sees(rig: DockerRig, backend: DockerBackend) -> None:
    writer, neighbour = await started(rig, backend), await started(rig, backend)
    name = f"/tmp/{writer.id}"  # inside

    await rig.run(writer, "touch", name)

    assert await rig.run(writer, "ls", name) == f"{name}\n"
    assert "No such file" in await rig.run(neighbour, "ls", name)
    assert not Path(name).exists()


async def test_where_the_machine_runs_out_of_memory_environments_go_first(
    rig: DockerRig, backend: DockerBackend
) -> None:
    order = await started(rig, backend)

    inside = int(await rig.run(order, "cat", "/proc/1/oom_score_adj"))

    assert inside > int(Path("/proc/self/oom_score_adj").read_text())
