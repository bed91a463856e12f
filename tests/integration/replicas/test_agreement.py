"""Replicas that were given other settings are told so, or refused."""

import asyncio
from pathlib import Path

from tests.command import run
from tests.integration.replicas.conftest import CONFIG, Replica
from tests.redis_server import RedisServer
from tests.serving import API_KEY


async def test_a_warning_names_what_differs(replica: Replica) -> None:
    first = await replica("first")
    await first.until_spares(1, "talk")

    second = await replica("second", config=CONFIG.replace("size = 8", "size = 7"))

    lines = [line for line in second.log.read_text().splitlines() if "other settings" in line]
    assert len(lines) == 1
    assert "pools.talk" in lines[0]
    assert "pools.brief" not in lines[0]


async def test_equal_replicas_are_not_warned_of(replica: Replica) -> None:
    await replica("first")
    second = await replica("second")

    assert "other settings" not in second.log.read_text()


async def test_processes_in_another_place_are_refused(
    replica: Replica, redis_server: RedisServer, instance: str, tmp_path: Path
) -> None:
    await replica("first")

    flags = ("--redis-url", redis_server.url, "--instance", instance, "--backend", "process")
    ended = await asyncio.to_thread(
        run, "serve", *flags, "--port", "0", "--state-dir", str(tmp_path / "elsewhere"),
        "--api-key", API_KEY,
    )  # fmt: skip

    assert ended.returncode == 1
    assert "another state directory" in ended.stderr
