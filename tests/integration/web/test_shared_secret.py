"""One secret for all processes, which outlives the store."""

import asyncio
from pathlib import Path

from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.store import Store
from tests.redis_server import RedisServer
from tests.waiting import eventually
from web.shared_secret import SharedSecret


async def test_all_processes_use_the_secret_of_the_first(store: Store, tmp_path: Path) -> None:
    first = await SharedSecret(store, tmp_path / "a").agree()
    second = await SharedSecret(store, tmp_path / "b").agree()

    assert first == second
    assert (tmp_path / "b").read_text().strip() == first
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


async def test_an_emptied_store_gets_the_same_secret_again(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    connection = Connection(own_redis.url, Keys("i"))
    store = Store(connection)
    shared = SharedSecret(store, tmp_path / "a")
    before = await shared.agree()
    own_redis.empty()

    keeping = asyncio.create_task(shared.keep(0))

    async def is_back() -> bool:
        return await connection.client.get(connection.keys.secret) == before

    await eventually(is_back)
    keeping.cancel()
    assert await SharedSecret(store, tmp_path / "b").agree() == before
    await connection.close()
