"""Routes of ``tmpenv proxy`` that stand in a Redis."""

from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from spawner.errors import StoreUnavailable
from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.proxy_routes import RouteStore
from tests.integration.chp.rig import Rig, proxying, url_of
from tests.integration.proxy.kit import get, status
from tests.redis_server import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("ours")


def flags(redis: RedisServer, instance: str) -> tuple[str, ...]:
    return ("--redis-url", redis.url, "--instance", instance)


async def code(rig: Rig, path: str) -> int:
    return status((await rig.ask(get(path)))[0])


async def test_routes_outlive_a_restart(
    tmp_path: Path, redis_server: RedisServer, instance: str
) -> None:
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(
            proxying(tmp_path, *flags(redis_server, instance), "--proxy-workers", "2")
        )
        server = await first.server()
        await first.put("/x", url_of(server), data={"user": "ada"})
        before = (await first.routes())["/x"]
        first.started.end()

        async with proxying(tmp_path, *flags(redis_server, instance)) as second:
            assert (await second.routes())["/x"] == before
            assert await code(second, "/x/") == 200


async def test_proxies_on_one_store_have_the_same_routes(
    tmp_path: Path, redis_server: RedisServer, instance: str
) -> None:
    async with (
        proxying(tmp_path, *flags(redis_server, instance)) as one,
        proxying(tmp_path, *flags(redis_server, instance)) as other,
    ):
        await one.put("/x", url_of(await one.server("first")))
        await eventually(lambda: has_answer(other, "/x/", "first"))

        await other.put("/x", url_of(await other.server("second")))
        await eventually(lambda: has_answer(one, "/x/", "second"))

        await one.call("DELETE", "/x")
        await eventually(lambda: has_code(other, "/x/", 404))


async def test_use_at_one_proxy_is_known_at_the_others(
    tmp_path: Path, redis_server: RedisServer, instance: str
) -> None:
    async with (
        proxying(tmp_path, *flags(redis_server, instance)) as one,
        proxying(tmp_path, *flags(redis_server, instance)) as other,
    ):
        await one.put("/x", url_of(await one.server()))
        before = (await one.routes())["/x"]["last_activity"]

        assert await code(one, "/x/") == 200

        async def is_known() -> bool:
            routes = await other.routes()
            return "/x" in routes and routes["/x"]["last_activity"] > before

        await eventually(is_known)


async def test_requests_go_on_without_the_store_and_changes_are_refused(
    tmp_path: Path, own_redis: RedisServer, instance: str
) -> None:
    async with proxying(tmp_path, *flags(own_redis, instance)) as rig:
        target = url_of(await rig.server())
        await rig.put("/x", target)

        own_redis.stop()

        assert await code(rig, "/x/") == 200
        async with rig.session.post(f"{rig.api}/api/routes/y", json={"target": target}) as answer:
            assert answer.status == 503
        async with rig.session.delete(f"{rig.api}/api/routes/x") as answer:
            assert answer.status == 503
        assert await code(rig, "/x/") == 200

        own_redis.start()

        await rig.put("/y", target)
        assert (await rig.routes()).keys() == {"/x", "/y"}


async def test_a_store_that_was_emptied_gets_the_routes_back(
    tmp_path: Path, own_redis: RedisServer, instance: str
) -> None:
    connection = Connection(own_redis.url, Keys(instance))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(connection.close)
        rig = await stack.enter_async_context(proxying(tmp_path, *flags(own_redis, instance)))
        await rig.put("/x", url_of(await rig.server()))
        own_redis.empty()
        # Somebody who knows nothing of the routes comes first.
        await RouteStore(connection).fill({"/y": '{"target": "http://127.0.0.1:9"}'})

        own_redis.stop()
        own_redis.start()

        async def is_back() -> bool:
            with suppress(StoreUnavailable):  # the client learns that the server was away
                return (await RouteStore(connection).all()).routes.keys() == {"/x", "/y"}
            return False

        await eventually(is_back)
        assert await code(rig, "/x/") == 200
        assert (await rig.routes()).keys() == {"/x", "/y"}


async def has_code(rig: Rig, path: str, expected: int) -> bool:
    return await code(rig, path) == expected


async def has_answer(rig: Rig, path: str, name: str) -> bool:
    head, body = await rig.ask(get(path))
    return status(head) == 200 and body.startswith(name)
