"""Processes of a data path that do not do as they should."""

import asyncio
import os
import pickle
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from proxy import workers as module
from proxy.prefix_router import PrefixOptions
from proxy.settings import ProxySettings
from proxy.sockets import listen
from proxy.workers import Workers, WorkersFailed
from web.data_path import COMMAND
from web.logs import LogStyle
from web.prefixes_path import PrefixesWork

WORK = PrefixesWork(
    proxy=ProxySettings(),
    prefixes=PrefixOptions(),
    routes=(),
    error_target=None,
    error_path=None,
    certificate=None,
    log=LogStyle("error"),
)


@asynccontextmanager
async def working(command: tuple[str, ...] = COMMAND, processes: int = 2) -> AsyncIterator[Workers]:
    places = listen("127.0.0.1", 0, processes)
    workers = Workers(command, places, work=lambda: pickle.dumps(WORK), hear=lambda _message: None)
    try:
        yield workers
    finally:
        await workers.abort()


def pids() -> list[int]:
    return [one.pid for one in psutil.Process().children() if "web.worker" in one.cmdline()]


async def test_one_that_is_stuck_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_S", 0.2)
    monkeypatch.setattr(module, "_MOST_SILENT_S", 10)  # of these
    async with working() as workers:
        await workers.start()
        (stuck, other) = pids()

        os.kill(stuck, signal.SIGSTOP)

        async with asyncio.timeout(30):
            while workers.replaced < 1 or workers.processes < 2:
                await asyncio.sleep(0.05)
        assert stuck not in pids()
        assert other in pids()


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import os; os.close(0); os._exit(0)"])
async def test_one_that_ends_as_it_starts_is_told_at_once(code: str) -> None:
    async with working((sys.executable, "-c", code)) as workers:
        with pytest.raises(WorkersFailed):
            await workers.start()


async def test_work_that_cannot_be_given_is_no_silence() -> None:
    places = listen("127.0.0.1", 0, 2)
    workers = Workers(COMMAND, places, work=lambda: pickle.dumps(lambda: 0), hear=print)

    with pytest.raises((pickle.PicklingError, AttributeError)):
        await workers.start()
    await workers.abort()


async def test_one_that_is_asked_and_dies_holds_nobody_up() -> None:
    async with working() as workers:
        await workers.start()
        stuck = pids()[0]
        os.kill(stuck, signal.SIGSTOP)

        asking = asyncio.create_task(workers.ask(do="remove", prefix="/x"))
        await asyncio.sleep(0)
        os.kill(stuck, signal.SIGKILL)

        async with asyncio.timeout(2):
            await asking
