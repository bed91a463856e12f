"""Many visitors at once, on containers, and on two servers that share one store."""

import asyncio
from collections import Counter
from pathlib import Path

from tests.components import TINY, require
from tests.e2e.containers import containers
from tests.redis_server import RedisServer
from tests.serving import PERL, TINY_SERVER, Serving

DOCKER = """
backend = "docker"
max_starting = 8
on_exit = "stop"
[templates.t]
image = "{image}"
memory = "32M"
stop_grace = "0s"
[pools.t]
size = {size}
spare = {spare}
"""
SHARED = """
backend = "process"
redis_url = "{redis}"
max_starting = 8
[templates.t]
stop_grace = "1s"
command = ["{perl}", "{tiny}"]
[pools.t]
size = 200
spare = 100
"""


async def test_one_hundred_launches_on_one_hundred_spares_all_answer(
    directory: Path, docker_instance: str
) -> None:
    config = DOCKER.format(image=TINY, size=100, spare=100)
    async with Serving(directory, config, instance=docker_instance) as server:
        await server.until_spares(100, "t", within=300)

        answers = await asyncio.gather(*(server.spawn("t") for _ in range(100)))

        ids = {body["id"] for status, body in answers if status == 200}
        assert len(ids) == 100
        assert set(await asyncio.gather(*map(server.visit, ids))) == {200}


async def test_a_pool_of_fifty_never_has_more_than_fifty_containers(
    directory: Path, docker_instance: str
) -> None:
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, len(await asyncio.to_thread(containers, docker_instance)))

    config = DOCKER.format(image=TINY, size=50, spare=10)
    async with Serving(directory, config, instance=docker_instance) as server:
        await server.until_spares(10, "t", within=120)
        watching = asyncio.create_task(watch())

        answers = await asyncio.gather(*(server.spawn("t") for _ in range(100)))

        watching.cancel()
        assert Counter(status for status, _ in answers) == {200: 50, 429: 50}
        assert len({body["id"] for status, body in answers if status == 200}) == 50
        assert all(body["status"] == "full" for status, body in answers if status == 429)
        assert 10 < most <= 50
        assert len(containers(docker_instance)) == 50


async def test_two_servers_on_one_store_never_hand_out_one_environment_twice(
    directory: Path, own_redis: RedisServer
) -> None:
    require("perl")
    config = SHARED.format(redis=own_redis.url, perl=PERL, tiny=TINY_SERVER)
    async with (
        Serving(directory, config, name="first") as first,
        Serving(directory, config, name="second") as second,
    ):
        await second.until_spares(100, "t", within=120)

        answers = await asyncio.gather(
            *((first, second)[number % 2].spawn("t") for number in range(200))
        )

        ids = [body["id"] for status, body in answers if status == 200]
        assert len(ids) == len(set(ids)) == 200
        # Each server knows the way to what the other handed out.
        assert set(await asyncio.gather(*map(first.visit, ids))) == {200}
        await asyncio.gather(*map(second.end, ids))
