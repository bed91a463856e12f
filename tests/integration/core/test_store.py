"""Single steps of the store, on a real Redis."""

import asyncio
import re
from datetime import timedelta
from importlib import resources

import pytest

from spawner.errors import KeyReused, StoreUnavailable
from spawner.lifecycle import FOLLOWERS
from spawner.model import Address, Auth, Environment, Phase
from spawner.store.connection import Connection, Fenced
from spawner.store.keys import Keys
from spawner.store.records import CLOCKS
from spawner.store.store import Store, Touch
from tests.redis_server import RedisServer


async def lease(store: Store) -> int:
    return (await store.claim("keeper", "test", timedelta(seconds=30))).fence


async def make(store: Store, name: str, fence: int, *, size: int = 100, port: int = 1) -> None:
    assert await store.create(
        name,
        base_path="/user/e/",
        template="t",
        digest="d",
        auth=Auth.PROXY,
        size=size,
        fence=fence,
    )
    assert await store.started(name, Address("10.0.0.1", port), fence=fence)
    assert await store.ready(name, fence=fence)


async def find(store: Store, name: str) -> Environment:
    environment = await store.find(name)
    assert environment is not None
    return environment


def test_the_scripts_allow_just_the_changes_that_the_table_allows() -> None:
    prelude = (resources.files("spawner.store") / "lua" / "prelude.lua").read_text()
    rows = re.findall(r"^  (\w+) = \{(.*)\},$", prelude, re.MULTILINE)

    written = {phase: set(re.findall(r"(\w+) = true", row)) for phase, row in rows}

    assert written == {
        str(phase): {str(follower) for follower in followers}
        for phase, followers in FOLLOWERS.items()
    }


async def test_a_pool_that_is_full_takes_no_further_record(store: Store) -> None:
    fence = await lease(store)

    made = await asyncio.gather(
        *(
            store.create(
                f"e{n}",
                base_path="/user/e/",
                template="t",
                digest="d",
                auth=Auth.PROXY,
                size=3,
                fence=fence,
            )
            for n in range(10)
        )
    )

    assert sum(made) == 3


async def test_the_oldest_spare_is_handed_out_first(store: Store) -> None:
    fence = await lease(store)
    for number in range(3):
        await make(store, f"e{number}", fence, port=number + 1)

    held = [await store.acquire("t", f"x{n}", size=9, remember=False) for n in range(3)]

    assert [one.environment.id for one in held if one and one.environment] == ["e0", "e1", "e2"]


async def test_7_1_a_hand_out_sets_every_clock(store: Store) -> None:
    await make(store, "e", await lease(store))

    await store.acquire("t", "x", size=9, remember=False)

    environment = await find(store, "e")
    assert environment.assigned_at is not None
    assert environment.activity == dict.fromkeys(CLOCKS, environment.assigned_at)


async def test_a_ticket_of_another_template_is_refused(store: Store) -> None:
    await store.acquire("t", "x", size=9, remember=True)

    with pytest.raises(KeyReused):
        await store.acquire("u", "x", size=9, remember=True)


async def test_a_cancelled_ticket_frees_its_place_and_its_environment(store: Store) -> None:
    fence = await lease(store)
    await store.acquire("t", "first", size=9, remember=False)
    await store.acquire("t", "second", size=9, remember=False)
    await make(store, "e", fence)
    assert (await find(store, "e")).phase is Phase.ASSIGNED

    await store.cancel("first", "gone")

    renewed = await store.renew("second")
    assert renewed is not None
    assert renewed.place == 1
    assert (await find(store, "e")).phase is Phase.DRAINING
    assert await store.renew("first") is None


async def test_one_address_belongs_to_one_environment(store: Store) -> None:
    fence = await lease(store)
    await make(store, "old", fence, port=5)
    await store.acquire("t", "x", size=9, remember=False)

    await make(store, "new", fence, port=5)

    old = await find(store, "old")
    assert old.phase is Phase.FAILED
    assert (await find(store, "new")).phase is Phase.READY


async def test_a_use_that_came_first_prevents_the_end(store: Store) -> None:
    await make(store, "e", await lease(store))
    await store.acquire("t", "x", size=9, remember=False)
    before = (await find(store, "e")).activity["http"]
    later = Touch("e", (timedelta(milliseconds=-50), None, None, None))

    await store.touch([later])
    lost = await store.finish(
        "e", Phase.DRAINING, "idle", unused_since=before, counts=("http", "ws_in")
    )
    unguarded = await store.finish(
        "e", Phase.DRAINING, "idle", unused_since=before, counts=("ws_in",)
    )

    assert not lost
    assert unguarded


async def test_a_clock_never_goes_back(store: Store) -> None:
    await make(store, "e", await lease(store))
    await store.acquire("t", "x", size=9, remember=False)
    before = (await find(store, "e")).activity

    await store.touch([Touch("e", (timedelta(hours=1),) * 4)])

    assert (await find(store, "e")).activity == before


async def test_an_end_can_begin_once(store: Store) -> None:
    await make(store, "e", await lease(store))

    begun = await asyncio.gather(*(store.finish("e", Phase.DRAINING, "r") for _ in range(5)))

    assert sum(begun) == 1


async def test_an_overtaken_holder_can_write_no_more(store: Store) -> None:
    old = await store.claim("keeper", "a", timedelta(milliseconds=1))
    new = old
    while new.holder != "b":
        new = await store.claim("keeper", "b", timedelta(seconds=30))

    assert new.fence > old.fence
    with pytest.raises(Fenced):
        await store.create(
            "e",
            base_path="/user/e/",
            template="t",
            digest="d",
            auth=Auth.PROXY,
            size=9,
            fence=old.fence,
        )
    assert await store.find("e") is None


async def test_a_lease_is_exclusive_renewable_and_can_be_given_back(store: Store) -> None:
    first = await store.claim("keeper", "a", timedelta(seconds=30))

    assert (await store.claim("keeper", "b", timedelta(seconds=30))).fence == 0
    assert (await store.claim("keeper", "a", timedelta(seconds=30))).fence == first.fence
    await store.release("keeper", "a")
    assert (await store.claim("keeper", "b", timedelta(seconds=30))).fence > first.fence


async def test_a_lease_of_a_dead_holder_is_taken_at_once(store: Store) -> None:
    await store.claim("keeper", "a", timedelta(seconds=30))

    taken = await store.claim("keeper", "b", timedelta(seconds=30), dead="a")

    assert taken.fence
    assert taken.holder == "b"


async def test_an_emptied_store_gives_a_higher_fence_than_before(own_redis: RedisServer) -> None:
    connection = Connection(own_redis.url, Keys("emptied"))
    store = Store(connection)
    before = await lease(store)

    own_redis.empty()
    after = await lease(store)

    assert after > before
    await connection.close()


async def test_the_first_proposal_of_a_secret_stands(store: Store) -> None:
    assert await store.share_secret("first") == "first"
    assert await store.share_secret("second") == "first"


async def test_two_instances_on_one_redis_do_not_meet(
    store: Store, redis_server: RedisServer
) -> None:
    connection = Connection(redis_server.url, Keys("somebody-else"))
    await make(store, "e", await lease(store))

    assert await Store(connection).find("e") is None
    assert await Store(connection).environments() == []
    await connection.close()


async def test_no_answer_is_told_as_such(own_redis: RedisServer) -> None:
    connection = Connection(own_redis.url, Keys("away"))
    store = Store(connection)
    await store.ping()

    own_redis.stop()

    for question in (store.ping(), store.find("e"), store.environments(), store.now()):
        with pytest.raises(StoreUnavailable):
            await question
    await connection.close()
