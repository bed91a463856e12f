"""How much one caller may take, and all together: exact, whoever asks at once."""

import asyncio
from datetime import timedelta

import pytest

from spawner.backends.memory import MemoryBackend
from spawner.errors import Limited, PoolFull, ServiceError
from spawner.identity import Tokens
from spawner.limits import Allowance
from spawner.model import Address, Auth, Environment, Phase, Pool, Template, Ticket
from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.store import Store
from tests.deployment import SECRET, Deployment
from tests.redis_server import RedisServer
from tests.waiting import eventually

WITHIN = timedelta(seconds=10)
ADA = Allowance(caller="ada", environments=2)
HOURLY = Allowance(caller="ada", launches_per_hour=3)


async def lease(store: Store) -> int:
    return (await store.claim("keeper", "test", timedelta(seconds=30))).fence


async def add_spares(store: Store, number: int, template: str = "t") -> None:
    fence = await lease(store)
    for n in range(number):
        name = f"{template}{n}"
        assert await store.create(
            name,
            base_path=f"/user/{name}/",
            template=template,
            digest="d",
            auth=Auth.PROXY,
            size=number,
            fence=fence,
        )
        assert await store.started(name, Address("10.0.0.1", n + 1), fence=fence)
        assert await store.ready(name, fence=fence)


async def take(store: Store, ticket: str, allowance: Allowance, template: str = "t") -> Ticket:
    held = await store.acquire(template, ticket, size=99, remember=True, allowance=allowance)
    assert held is not None
    return held


async def environment_of(store: Store, ticket: str, allowance: Allowance) -> Environment:
    environment = (await take(store, ticket, allowance)).environment
    assert environment is not None
    return environment


async def refusal(store: Store, allowance: Allowance, template: str = "t") -> Limited:
    with pytest.raises(Limited) as caught:
        await take(store, "one-too-many", allowance, template)
    return caught.value


async def limit_keys(store_url: str, instance: str) -> set[str]:
    """Name the keys that say something of callers."""
    connection = Connection(store_url, Keys(instance))
    found = {
        key
        for kind in ("live", "launches")
        for key in await connection.client.keys(f"{Keys(instance).prefix}{kind}:*")
    }
    await connection.close()
    return found


async def make_older(url: str, instance: str, caller: str, by: timedelta) -> None:
    """Have a caller's launches been so much earlier."""
    connection = Connection(url, Keys(instance))
    key = f"{Keys(instance).prefix}launches:{caller}"
    for member in await connection.client.zrange(key, 0, -1):
        await connection.client.zincrby(key, -by / timedelta(milliseconds=1), member)
    await connection.close()


async def has_ended(tmpenv: Deployment, environment_id: str) -> bool:
    environment = await tmpenv.service.find(environment_id)
    return environment is not None and environment.phase is not Phase.ASSIGNED


async def outcomes(*launches: "asyncio.Future[Environment]") -> dict[str, int]:
    counted: dict[str, int] = {}
    for result in await asyncio.gather(*launches, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, ServiceError):
            raise result
        code = result.code if isinstance(result, ServiceError) else "given"
        counted[code] = counted.get(code, 0) + 1
    return counted


@pytest.mark.parametrize(
    ("allowance", "given"),
    [
        (Allowance(caller="ada", environments=7), 7),
        (Allowance(caller="ada", launches_per_hour=5), 5),
        (Allowance(total=9), 9),
    ],
    ids=["environments", "launches", "total"],
)
async def test_two_hundred_at_once_through_two_replicas_get_just_what_is_allowed(
    redis_server: RedisServer, instance: str, allowance: Allowance, given: int
) -> None:
    backend = MemoryBackend()
    pool = Pool(size=60, spare=4)
    one = Deployment(redis_server.url, instance, backend, pool=pool, holder="one")
    two = Deployment(redis_server.url, instance, backend, pool=pool, holder="two")
    async with one, two:
        await one.until_spares(4)

        counted = await outcomes(
            *(
                asyncio.ensure_future(
                    (one, two)[n % 2].service.launch("t", within=WITHIN, allowance=allowance)
                )
                for n in range(200)
            )
        )

        assert counted == {"given": given, "limited": 200 - given}
    backend.world.close()


async def test_a_template_may_allow_each_caller_fewer(
    redis_server: RedisServer, instance: str
) -> None:
    backend = MemoryBackend()
    templates = (Template(name="gpu", max_per_caller=1), Template(name="t"))
    async with Deployment(redis_server.url, instance, backend, templates=templates) as tmpenv:
        ada = Allowance(caller="ada", environments=2)
        await tmpenv.service.launch("gpu", within=WITHIN, allowance=ada)

        with pytest.raises(Limited) as caught:
            await tmpenv.service.launch("gpu", within=WITHIN, allowance=ada)

        assert (caught.value.limit, caught.value.template) == ("template", "gpu")
        await tmpenv.service.launch("t", within=WITHIN, allowance=ada)
        await tmpenv.service.launch("gpu", within=WITHIN, allowance=Allowance(caller="bob"))
    backend.world.close()


async def test_a_place_is_free_again_however_an_environment_ends(store: Store) -> None:
    await add_spares(store, 4)
    fence = await lease(store)
    first = await environment_of(store, "1", ADA)
    second = await environment_of(store, "2", ADA)
    assert (await refusal(store, ADA)).limit == "environments"

    await store.finish(first.id, Phase.DRAINING, "stopped")
    await store.finish(second.id, Phase.FAILED, "died")

    await take(store, "3", ADA)
    await take(store, "4", ADA)
    assert (await refusal(store, ADA)).allowed == 2
    await store.removed(first.id, fence=fence)
    await refusal(store, ADA)


async def test_nothing_is_left_of_callers_who_have_nothing(
    store: Store, redis_server: RedisServer, instance: str
) -> None:
    await add_spares(store, 1)
    environment = await environment_of(store, "1", ADA)
    await take(store, "2", ADA)
    assert await limit_keys(redis_server.url, instance)

    await store.finish(environment.id, Phase.DRAINING, "stopped")
    await store.cancel("2", "gone")

    assert not await limit_keys(redis_server.url, instance)


async def test_a_record_forgets_its_caller_when_the_environment_ends(
    store: Store, redis_server: RedisServer, instance: str
) -> None:
    await add_spares(store, 1)
    environment = await environment_of(store, "1", ADA)
    connection = Connection(redis_server.url, Keys(instance))
    key = Keys(instance).environment(environment.id)
    assert await connection.client.hget(key, "caller") == "ada"

    await store.finish(environment.id, Phase.DRAINING, "stopped")

    assert await connection.client.hget(key, "caller") is None
    await connection.close()


async def test_who_waits_counts_until_the_launch_is_given_up(store: Store) -> None:
    await take(store, "1", ADA)
    await take(store, "2", ADA)
    assert (await refusal(store, ADA)).limit == "environments"

    await store.cancel("1", "nobody waited any more")

    await take(store, "3", ADA)


async def test_who_waits_and_then_has_counts_once(store: Store) -> None:
    allowance = Allowance(caller="ada", environments=2, launches_per_hour=2)
    await take(store, "1", allowance)
    await add_spares(store, 1)
    renewed = await store.renew("1")
    assert renewed is not None
    assert renewed.environment is not None

    await take(store, "2", allowance)

    assert (await refusal(store, allowance)).limit == "environments"


async def test_asking_again_with_the_same_ticket_counts_once(store: Store) -> None:
    allowance = Allowance(caller="ada", environments=2, launches_per_hour=2)
    await add_spares(store, 1)

    for _ in range(3):
        await take(store, "1", allowance)
        await take(store, "2", allowance)

    await refusal(store, allowance)
    await take(store, "1", allowance)


async def test_what_is_refused_is_not_counted(store: Store) -> None:
    await add_spares(store, 3)
    allowance = Allowance(caller="ada", environments=2, launches_per_hour=3)
    first = await environment_of(store, "1", allowance)
    await take(store, "2", allowance)
    for _ in range(5):
        assert (await refusal(store, allowance)).limit == "environments"
    assert await store.acquire("u", "3", size=0, remember=True, allowance=HOURLY) is None

    await store.finish(first.id, Phase.DRAINING, "stopped")

    await take(store, "4", allowance)
    await store.finish("t1", Phase.DRAINING, "stopped")
    assert (await refusal(store, allowance)).limit == "launches_per_hour"


async def test_no_hour_has_more_launches_than_are_allowed(
    store: Store, redis_server: RedisServer, instance: str
) -> None:
    """A fixed hour would let twice as many through around its end."""
    await take(store, "1", HOURLY)
    await make_older(redis_server.url, instance, "ada", timedelta(minutes=40))
    await take(store, "2", HOURLY)
    await take(store, "3", HOURLY)

    refused = await refusal(store, HOURLY)

    assert refused.limit == "launches_per_hour"
    assert timedelta(minutes=19, seconds=50) < refused.retry_after <= timedelta(minutes=20)
    await make_older(redis_server.url, instance, "ada", timedelta(minutes=20))
    await take(store, "4", HOURLY)
    again = await refusal(store, HOURLY)
    assert timedelta(minutes=39, seconds=50) < again.retry_after <= timedelta(minutes=40)


async def test_the_wait_that_is_told_is_the_wait(store: Store) -> None:
    short = Allowance(caller="ada", launches_per_hour=1, window=timedelta(milliseconds=300))
    await take(store, "1", short)
    began = await store.now()
    wait = (await refusal(store, short)).retry_after

    async def is_let_in() -> bool:
        try:
            return await store.acquire("t", "2", size=9, remember=True, allowance=short) is not None
        except Limited:
            return False

    await eventually(is_let_in)

    assert timedelta(0) < wait <= timedelta(milliseconds=300)
    assert await store.now() - began >= wait - timedelta(milliseconds=5)


async def test_a_limit_that_was_lowered_tells_when_enough_launches_are_over(
    store: Store, redis_server: RedisServer, instance: str
) -> None:
    for n in range(3):
        await take(store, str(n), HOURLY)
        await make_older(redis_server.url, instance, "ada", timedelta(minutes=10))

    refused = await refusal(store, Allowance(caller="ada", launches_per_hour=1))

    assert timedelta(minutes=49) < refused.retry_after <= timedelta(minutes=50)


async def test_a_launch_given_up_while_it_waited_was_none(store: Store) -> None:
    for n in range(3):
        await take(store, str(n), HOURLY)
    assert (await refusal(store, HOURLY)).limit == "launches_per_hour"

    await store.cancel("0", "nobody waited any more")

    await take(store, "3", HOURLY)


async def test_an_environment_that_nobody_fetched_stays_counted_for_its_hour(store: Store) -> None:
    """Else who never fetches could have one after the other be started."""
    await add_spares(store, 3)
    for n in range(3):
        await take(store, str(n), HOURLY)

    await store.cancel("0", "nobody waited any more")

    assert (await refusal(store, HOURLY)).limit == "launches_per_hour"


@pytest.mark.parametrize("key", ["", "a-ticket-of-the-callers-own"])
async def test_a_dead_spare_replaced_on_the_way_counts_once(
    redis_server: RedisServer, instance: str, key: str
) -> None:
    backend = MemoryBackend()
    async with Deployment(
        redis_server.url, instance, backend, pool=Pool(size=4, spare=2)
    ) as tmpenv:
        await tmpenv.until_spares(2)
        oldest, *_ = sorted(
            await tmpenv.store.environments((Phase.READY,)), key=lambda one: one.phase_at
        )
        backend.world.residents[oldest.id].end("exit code 137")
        twice = Allowance(caller="ada", environments=2, launches_per_hour=2)

        first = await tmpenv.service.launch("t", ticket=key, within=WITHIN, allowance=twice)
        await tmpenv.service.launch("t", within=WITHIN, allowance=twice)

        assert first.id != oldest.id
        with pytest.raises(Limited):
            await tmpenv.service.launch("t", within=WITHIN, allowance=twice)
    backend.world.close()


async def test_counts_outlive_a_crash_of_every_replica(
    redis_server: RedisServer, instance: str
) -> None:
    backend = MemoryBackend()
    allowance = Allowance(caller="ada", environments=1, launches_per_hour=9)
    async with Deployment(redis_server.url, instance, backend, holder="one") as tmpenv:
        environment = await tmpenv.service.launch("t", within=WITHIN, allowance=allowance)

    async with Deployment(redis_server.url, instance, backend, holder="two") as tmpenv:
        with pytest.raises(Limited):
            await tmpenv.service.launch("t", within=WITHIN, allowance=allowance)
        backend.world.kill(environment.id)
        await eventually(lambda: has_ended(tmpenv, environment.id))
        await tmpenv.service.launch("t", within=WITHIN, allowance=allowance)
    backend.world.close()


async def test_what_is_found_again_in_an_emptied_store_counts_for_no_caller_but_in_all(
    redis_server: RedisServer, instance: str
) -> None:
    backend = MemoryBackend()
    ada = Allowance(caller="ada", environments=1, total=2)
    pool = Pool(size=4, spare=0)
    async with Deployment(redis_server.url, instance, backend, pool=pool, holder="one") as tmpenv:
        environment = await tmpenv.service.launch("t", within=WITHIN, allowance=ada)
        client = tmpenv.connection.client
        for key in await client.keys(f"{Keys(instance).prefix}*"):
            await client.delete(key)

    async with Deployment(redis_server.url, instance, backend, pool=pool, holder="two") as tmpenv:
        await tmpenv.until_phase(environment.id, Phase.ASSIGNED)
        await tmpenv.service.launch("t", within=WITHIN, allowance=ada)
        with pytest.raises(Limited) as caught:
            await tmpenv.service.launch("t", within=WITHIN, allowance=Allowance(total=2))
        assert caught.value.limit == "total"
    backend.world.close()


async def test_a_full_pool_is_told_as_such(redis_server: RedisServer, instance: str) -> None:
    backend = MemoryBackend()
    async with Deployment(redis_server.url, instance, backend, pool=Pool(size=1)) as tmpenv:
        ada = Allowance(caller="ada", environments=5, launches_per_hour=1)
        await tmpenv.service.launch("t", within=WITHIN)

        for _ in range(3):
            with pytest.raises(PoolFull):
                await tmpenv.service.launch("t", within=WITHIN, allowance=ada)
    backend.world.close()


def test_what_stands_for_a_caller_tells_nobody_who_it_is() -> None:
    tokens = Tokens(SECRET)

    names = {tokens.caller("address:192.0.2.1"), Tokens("other").caller("address:192.0.2.1")}

    assert len(names) == 2
    assert all("192" not in name for name in names)
