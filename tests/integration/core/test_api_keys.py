"""API keys: made once, known again by a hash, over in time, taken back."""

import asyncio
from datetime import timedelta

import pytest

from spawner.api_keys import ApiKeys, Holder, is_key_name
from spawner.errors import KeyExists, StoreUnavailable, UnknownKey
from spawner.store.api_keys import ApiKeyStore
from spawner.store.connection import Connection
from spawner.store.keys import Keys
from tests.redis_server import RedisServer
from tests.waiting import eventually


@pytest.fixture
def keys(connection: Connection) -> ApiKeys:
    return ApiKeys(ApiKeyStore(connection))


async def test_a_key_is_known_again_with_what_it_is_good_for(keys: ApiKeys) -> None:
    key, kept = await keys.make("ci", ["build", "template"], None)

    assert await keys.holder(key) == Holder("ci", frozenset({"build", "template"}))
    assert (kept.name, kept.expires_at) == ("ci", None)


async def test_the_store_has_no_key(keys: ApiKeys, connection: Connection) -> None:
    key, _ = await keys.make("ci", ["build"], None)

    async with connection.answers():
        kept = await connection.client.hgetall(f"{connection.keys.prefix}apikeys")

    secret = key.removeprefix("tmpenv_ci_")
    assert list(kept) == ["ci"]
    assert secret not in kept["ci"]


async def test_one_of_two_who_make_a_key_of_one_name_gets_it(keys: ApiKeys) -> None:
    made = await asyncio.gather(
        *(keys.make("ci", ["build"], None) for _ in range(2)), return_exceptions=True
    )

    (refused,) = [one for one in made if isinstance(one, KeyExists)]
    ((key, _),) = [one for one in made if isinstance(one, tuple)]
    assert '"ci"' in str(refused)
    assert await keys.holder(key) is not None


async def test_a_revoked_key_opens_nothing(keys: ApiKeys) -> None:
    key, _ = await keys.make("ci", ["build"], None)

    await keys.revoke("ci")

    assert await keys.holder(key) is None
    with pytest.raises(UnknownKey):
        await keys.revoke("ci")


async def test_a_name_that_is_given_again_is_another_key(keys: ApiKeys) -> None:
    old, _ = await keys.make("ci", ["build"], None)
    await keys.revoke("ci")
    new, _ = await keys.make("ci", ["admin"], None)

    assert await keys.holder(old) is None
    assert await keys.holder(new) == Holder("ci", frozenset({"admin"}))


async def test_a_key_ends_when_its_time_is_over(keys: ApiKeys) -> None:
    key, _ = await keys.make("ci", ["build"], timedelta(seconds=0.3))

    assert await keys.holder(key) is not None

    async def is_over() -> bool:
        return await keys.holder(key) is None

    await eventually(is_over)
    (kept,), now = await keys.all()
    assert kept.expires_at is not None
    assert kept.expires_at <= now


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "tmpenv",
        "tmpenv_ci_",
        "tmpenv_ci_" + "x" * 43,
        "tmpenv_nobody_" + "x" * 43,
        "tmpenv_*_" + "x" * 43,
        "tmpenv_ci_" + "é" * 43,
    ],
)
async def test_nothing_else_is_a_key(keys: ApiKeys, shown: str) -> None:
    await keys.make("ci", ["build"], None)

    assert await keys.holder(shown) is None


async def test_a_key_of_another_instance_opens_nothing(
    keys: ApiKeys, redis_server: RedisServer
) -> None:
    elsewhere = Connection(redis_server.url, Keys("elsewhere"))
    key, _ = await ApiKeys(ApiKeyStore(elsewhere)).make("ci", ["admin"], None)
    await elsewhere.close()

    assert await keys.holder(key) is None


async def test_a_store_that_gives_no_answer_is_no_refusal(own_redis: RedisServer) -> None:
    connection = Connection(own_redis.url, Keys("test"))
    keys = ApiKeys(ApiKeyStore(connection))
    key, _ = await keys.make("ci", ["build"], None)
    own_redis.stop()

    with pytest.raises(StoreUnavailable):
        await keys.holder(key)
    await connection.close()


@pytest.mark.parametrize("text", ["a", "ci", "ada.lovelace-2", "x" * 40])
def test_names_of_keys(text: str) -> None:
    assert is_key_name(text)


@pytest.mark.parametrize("text", ["", "-", "a-", "A", "a_b", "a b", "é", "x" * 41, "a/b"])
def test_what_is_no_name_of_a_key(text: str) -> None:
    assert not is_key_name(text)
