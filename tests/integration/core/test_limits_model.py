"""What counts for callers, held against a model, through any order of launches and ends."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spawner.errors import Limited
from spawner.identity import new_id
from spawner.limits import Allowance
from spawner.model import Address, Auth, Phase
from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.store import Store
from tests.redis_server import RedisServer

CALLERS = ("ada", "bob")
MOST_LIVE, MOST_LAUNCHES, MOST_IN_ALL = 2, 5, 3
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["launch", "repeat", "spare", "cancel", "stop", "fail", "discard"]),
        st.sampled_from(CALLERS),
        st.integers(0, 7),
    ),
    min_size=1,
    max_size=40,
)


@dataclass
class Launched:
    """One launch that was not refused."""

    caller: str
    ticket: str
    environment: str = ""
    is_live: bool = True
    is_counted: bool = True


@dataclass
class Model:
    """What ought to be."""

    launches: list[Launched] = field(default_factory=list)
    spares: list[str] = field(default_factory=list)

    def live(self, caller: str = "") -> int:
        return sum(one.is_live and caller in ("", one.caller) for one in self.launches)

    def counted(self, caller: str) -> int:
        return sum(one.is_counted and one.caller == caller for one in self.launches)

    def refusal(self, caller: str) -> str:
        if self.live(caller) >= MOST_LIVE:
            return "environments"
        if self.counted(caller) >= MOST_LAUNCHES:
            return "launches_per_hour"
        return "total" if self.live() >= MOST_IN_ALL else ""

    def first_waiting(self) -> Launched | None:
        return next((one for one in self.launches if one.is_live and not one.environment), None)


class Steps:
    """Does to the store and to the model alike."""

    def __init__(self, store: Store, fence: int) -> None:
        self.store = store
        self.model = Model()
        self._fence = fence
        self._made = 0

    async def launch(self, caller: str, _: int) -> None:
        expected = self.model.refusal(caller)
        ticket = new_id()
        assert await self._ask(caller, ticket) == expected
        if not expected:
            environment = self.model.spares.pop(0) if self.model.spares else ""
            self.model.launches.append(Launched(caller, ticket, environment))

    async def repeat(self, _: str, index: int) -> None:
        if one := self._pick(index):
            assert await self._ask(one.caller, one.ticket) == ""

    async def spare(self, _: str, __: int) -> None:
        self._made += 1
        name = f"e{self._made}"
        await self.store.create(
            name,
            base_path=f"/user/{name}/",
            template="t",
            digest="d",
            auth=Auth.PROXY,
            size=1000,
            fence=self._fence,
        )
        await self.store.started(name, Address("10.0.0.1", self._made), fence=self._fence)
        await self.store.ready(name, fence=self._fence)
        if waiting := self.model.first_waiting():
            waiting.environment = name
        else:
            self.model.spares.append(name)

    async def cancel(self, _: str, index: int) -> None:
        if one := self._pick(index):
            await self.store.cancel(one.ticket, "gone")
            one.is_live = False
            one.is_counted = bool(one.environment)

    async def stop(self, _: str, index: int) -> None:
        await self._end(index, Phase.DRAINING)

    async def fail(self, _: str, index: int) -> None:
        await self._end(index, Phase.FAILED)

    async def discard(self, _: str, index: int) -> None:
        one = self._pick(index)
        if one and one.environment:
            environment = await self.store.find(one.environment)
            assert environment is not None
            assert await self.store.discard(environment, one.ticket, "dead")
            one.is_live = one.is_counted = False

    async def _end(self, index: int, to: Phase) -> None:
        one = self._pick(index)
        if one and one.environment:
            assert await self.store.finish(one.environment, to, "over")
            one.is_live = False

    async def _ask(self, caller: str, ticket: str) -> str:
        allowance = Allowance(
            caller=caller,
            environments=MOST_LIVE,
            launches_per_hour=MOST_LAUNCHES,
            total=MOST_IN_ALL,
        )
        try:
            held = await self.store.acquire(
                "t", ticket, size=1000, remember=True, allowance=allowance
            )
        except Limited as error:
            return error.limit
        assert held is not None
        return ""

    def _pick(self, index: int) -> Launched | None:
        live = [one for one in self.model.launches if one.is_live]
        return live[index % len(live)] if live else None


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_whatever_happens_the_counts_are_those_of_the_model(
    redis_server: RedisServer, steps: list[tuple[str, str, int]]
) -> None:
    asyncio.run(_play(redis_server.url, steps))


async def _play(url: str, steps: list[tuple[str, str, int]]) -> None:
    connection = Connection(url, Keys(f"m-{new_id()}"))
    try:
        store = Store(connection)
        player = Steps(store, (await store.claim("keeper", "test", timedelta(minutes=1))).fence)
        for verb, caller, index in steps:
            await getattr(player, verb)(caller, index)
            for name in CALLERS:
                prefix = connection.keys.prefix
                live: Awaitable[int] = connection.client.zcard(f"{prefix}live:{name}")
                launches: Awaitable[int] = connection.client.zcard(f"{prefix}launches:{name}")
                assert await live == player.model.live(name)
                assert await launches == player.model.counted(name)
    finally:
        await connection.close()
