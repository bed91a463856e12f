"""What the process backend promises beyond the contract, on real processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

import aiohttp
import psutil
import pytest
import uvloop

from spawner.backends.base import Order
from spawner.backends.process import ProcessBackend
from spawner.backends.process_files import Record, Shelf
from spawner.errors import StartFailed
from tests.components import require
from tests.contract.rigs import ProcessRig, marked
from tests.contract.test_backend import answers
from tests.waiting import eventually


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[ProcessRig]:
    require("perl")
    rig = ProcessRig(tmp_path)
    yield rig
    await rig.clear()


async def told(rig: ProcessRig, order: Order, word: str) -> str:
    """Wait until an environment has printed a word; give its log."""

    async def check() -> str:
        text = (rig.place(order) / "log").read_text()
        return text if word in text else ""

    return await eventually(check)


def lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def script(text: str) -> dict[str, object]:
    return {"command": ("/bin/sh", "-c", text)}


async def test_it_says_that_it_isolates_nothing(rig: ProcessRig) -> None:
    backend = await rig.make()

    assert "nothing isolates" in backend.warning


async def test_a_template_without_command_is_told_what_it_lacks(rig: ProcessRig) -> None:
    backend = await rig.make()

    with pytest.raises(StartFailed, match='"tiny" has no command'):
        await backend.start(rig.order(command=None))


async def test_a_template_that_is_to_be_held_back_is_refused(rig: ProcessRig) -> None:
    backend = await rig.make()

    with pytest.raises(StartFailed, match="nothing holds back a process"):
        await backend.start(rig.order(egress="none"))
    assert await backend.start(rig.order(egress="open"))


async def test_a_child_gets_nothing_of_ours(
    rig: ProcessRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPENV_API_KEY", "secret")
    read, write = os.pipe()
    os.set_inheritable(write, True)
    backend = await rig.make()
    order = rig.order(**script("env; pwd; ls -l /proc/$$/fd; echo done; exec sleep 60"))

    await backend.start(order)

    text = await told(rig, order, "done")
    place = rig.place(order)
    assert "secret" not in text
    assert f"HOME={place}/home" in text
    assert f"TMPDIR={place}/tmp" in text
    assert f"\n{place}/home\n" in text
    assert "0 -> /dev/null" in text
    assert not [line for line in text.splitlines() if " 3 -> " in line and "pipe" in line]
    assert place.stat().st_mode & 0o777 == 0o700
    os.close(read)
    os.close(write)


async def test_the_command_is_told_where_to_listen(rig: ProcessRig) -> None:
    backend = await rig.make()
    order = rig.order(**script("echo {ip} {port} {base_path} {token}; exec sleep 60"))

    address = await backend.start(order)

    text = await told(rig, order, "127.0.0.1")
    assert text == f"127.0.0.1 {address.port} {order.base_path} {order.token}\n"


async def test_stop_ends_the_whole_tree_and_what_left_it(rig: ProcessRig) -> None:
    backend = await rig.make()
    order = rig.order(
        **script(
            "setsid sleep 600 & env -i setsid sleep 600 & (setsid sleep 600 &) ;"
            " sleep 600 & echo done; exec sleep 600"
        )
    )
    await backend.start(order)
    await told(rig, order, "done")
    root = psutil.Process(int((rig.place(order) / "pid").read_text()))

    async def all_there() -> bool:
        return len({*root.children(), *marked(order.id)}) == 5

    await eventually(all_there)
    members = [*root.children(), *marked(order.id)]

    await backend.stop(order.id, 5)

    assert not [member for member in members if lives(member)]


async def test_one_that_takes_no_notice_is_killed_after_its_grace(rig: ProcessRig) -> None:
    backend = await rig.make()
    order = rig.order(env={"TINY_STUBBORN": "1"})
    await backend.start(order)
    await told(rig, order, "listening")
    loop = asyncio.get_running_loop()
    began = loop.time()

    await backend.stop(order.id, 0.5)

    assert 0.5 <= loop.time() - began < 5
    assert await rig.leftovers(order) == []


async def test_a_reused_pid_is_neither_taken_for_it_nor_signalled(rig: ProcessRig) -> None:
    backend = await rig.make()
    order = rig.order()
    await backend.start(order)
    await rig.kill(order)
    born = int((rig.place(order) / "born").read_text())

    async def a_tick_later() -> bool:
        ticks = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
        return int(ticks) > born + 1

    await eventually(a_tick_later)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as stranger:
        (rig.place(order) / "pid").write_text(str(stranger.pid))

        seen = await backend.inspect(order.id)
        await backend.stop(order.id, 1)

        assert seen is not None
        assert not seen.is_running
        assert stranger.poll() is None
        stranger.kill()


async def test_the_exit_code_is_told_even_after_a_restart(rig: ProcessRig) -> None:
    backend = await rig.make()
    order = rig.order(**script("echo begun; sleep 0.3; exit 3"))
    await backend.start(order)
    async with aclosing(backend.endings()) as endings:
        await anext(endings)
    before = await backend.inspect(order.id)
    await backend.close()

    after = await (await rig.make()).inspect(order.id)

    assert before == after
    assert after is not None
    assert after.detail == "exit code 3"


async def test_a_record_without_a_process_is_started_again(rig: ProcessRig) -> None:
    """As after a crash between the record and the child."""
    backend = await rig.make()
    order = rig.order()
    shelf = Shelf(rig.state_dir)
    with shelf.locked():
        port = shelf.free_port()
        shelf.create(record(order, port))
    before = await backend.inspect(order.id)

    address = await backend.start(order)

    assert before is not None
    assert before.detail == "never started"
    assert address.port == port
    await told(rig, order, "listening")


async def test_a_process_that_was_not_written_down_is_ended_by_its_mark(rig: ProcessRig) -> None:
    """As after a crash between the child and its pid."""
    backend = await rig.make()
    order = rig.order()
    with Shelf(rig.state_dir).locked():
        Shelf(rig.state_dir).create(record(order, 1))
    with subprocess.Popen(["sleep", "600"], env={"TMPENV_ID": order.id}) as lost:
        await backend.stop(order.id, 5)

        assert lost.wait(5) == -signal.SIGTERM


async def test_a_half_made_directory_is_removed_at_the_next_opening(rig: ProcessRig) -> None:
    await rig.make()
    half = rig.state_dir / "environments" / ".new-abc"
    (half / "home").mkdir(parents=True)

    await rig.make()

    assert not half.exists()


async def test_a_directory_that_locked_itself_is_removed(rig: ProcessRig) -> None:
    backend = await rig.make()
    order = rig.order(**script("mkdir -p a/b; chmod 0 a/b a; echo done; exec sleep 60"))
    await backend.start(order)
    await told(rig, order, "done")

    await backend.stop(order.id, 1)

    assert await rig.leftovers(order) == []


async def test_a_chatty_one_does_not_fill_the_disk(rig: ProcessRig) -> None:
    backend = await rig.make()
    order = rig.order(
        **script(
            "i=0; while [ $i -lt 9 ]; do head -c 1048576 /dev/zero; i=$((i+1)); done; echo end;"
        )
    )
    order_log = rig.place(order) / "log"
    with suppress(StartFailed):  # it may have ended by now, which is all right here
        await backend.start(order)
    await told(rig, order, "end")

    await backend.list()

    assert order_log.stat().st_size <= 1 << 20
    assert (await backend.tail(order.id, 1)).endswith("end")


async def test_it_outlives_a_tmpenv_that_is_killed(rig: ProcessRig, tmp_path: Path) -> None:
    order = rig.order()
    program = (
        "import asyncio, json, os, signal, sys\n"
        "from pathlib import Path\n"
        "from spawner.backends.base import Order\n"
        "from spawner.backends.process import ProcessBackend\n"
        "from spawner.model import Template\n"
        "async def main():\n"
        "    backend = ProcessBackend('one', Path(sys.argv[1]))\n"
        "    await backend.open()\n"
        "    template = Template(**json.loads(sys.argv[3]))\n"
        "    order = Order(id=sys.argv[2], base_path='/', template=template, token='')\n"
        "    await backend.start(order)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    template = json.dumps({"name": "tiny", "command": order.template.command})
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(tmp_path), order.id, template
    )
    assert await child.wait() == -signal.SIGKILL

    backend = await rig.make()
    await told(rig, order, "listening")

    (seen,) = await backend.list()
    assert (seen.id, seen.is_running) == (order.id, True)


async def test_jupyter_ends_with_its_kernels(rig: ProcessRig) -> None:
    require("jupyterlab")
    backend = await rig.make()
    command = (
        "exec jupyter lab --no-browser --ip={ip} --port={port} --ServerApp.base_url={base_path}"
        " --ServerApp.port_retries=0 --allow-root"
    )
    order = rig.order(command=command)
    address = await backend.start(order)
    assert await answers(order, address)
    kernels = f"http://{address}{order.base_path}api/kernels"
    token = {"Authorization": f"token {order.token}"}
    async with (
        aiohttp.ClientSession(headers=token) as client,
        client.post(kernels, json={"name": "python3"}) as made,
    ):
        assert made.status == 201
    members = marked(order.id)
    assert len({os.getsid(member.pid) for member in members}) > 1

    await backend.stop(order.id, 5)

    assert not [member for member in members if lives(member)]
    assert await rig.leftovers(order) == []


def test_endings_are_told_on_uvloop(tmp_path: Path) -> None:
    rig = ProcessRig(tmp_path)

    async def scene() -> None:
        backend = ProcessBackend("one", tmp_path)
        await backend.open()
        order = rig.order()
        await backend.start(order)
        async with aclosing(backend.endings()) as endings:
            await rig.kill(order)
            async with asyncio.timeout(1.5):  # sooner than the sweep
                assert await anext(endings) == order.id
        await backend.stop(order.id, 0)
        await backend.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


def record(order: Order, port: int) -> Record:
    return Record(
        kind="environment",
        instance="one",
        id=order.id,
        base_path=order.base_path,
        template=order.template.name,
        digest=order.template.digest,
        auth=order.template.auth,
        created="2026-01-01T00:00:00+00:00",
        port=port,
    )
