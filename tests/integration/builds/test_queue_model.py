"""Who waits, who runs and who is refused, held against a model, through any order of events."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spawner.builder.model import Outcome, Source
from spawner.errors import AlreadyBuilding, QueueFull
from spawner.store.builds import BuildStore, LogLimits, Request
from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.store import Store
from tests.redis_server import RedisServer

AT_ONCE, MOST = 2, 5
CALLERS = ("ada", "bob", "eve")
NAMES = tuple(f"r{number}" for number in range(7))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["start", "start", "other", "force", "take", "end", "cancel", "crash"]),
        st.sampled_from(CALLERS),
        st.sampled_from(NAMES),
    ),
    min_size=1,
    max_size=40,
)


@dataclass
class Asked:
    """One build that is not over."""

    name: str
    caller: str
    inputs: str
    is_forced: bool
    is_unwanted: bool = False


@dataclass
class Model:
    """What ought to be."""

    turns: list[str] = field(default_factory=list)
    waiting: dict[str, list[str]] = field(default_factory=dict)
    #: What the store calls running, and of that what somebody builds.
    running: list[str] = field(default_factory=list)
    mine: list[str] = field(default_factory=list)
    open: dict[str, Asked] = field(default_factory=dict)
    latest: dict[str, str] = field(default_factory=dict)

    def answer(self, wanted: Asked) -> str:
        known = self.open.get(self.latest.get(wanted.name, ""))
        if known:
            is_same = known.inputs == wanted.inputs and not known.is_unwanted
            return "joined" if is_same and known.is_forced >= wanted.is_forced else "busy"
        return "full" if len(self.open) >= MOST else "new"

    def add(self, build_id: str, asked: Asked) -> None:
        self.open[build_id] = asked
        self.latest[asked.name] = build_id
        if not self.waiting.get(asked.caller):
            self.turns.append(asked.caller)
        self.waiting.setdefault(asked.caller, []).append(build_id)

    def take(self) -> list[str]:
        free = AT_ONCE - len(self.mine)
        taken = [one for one in self.running if one not in self.mine][:free]
        while self.turns and len(self.running) < AT_ONCE:
            caller = self.turns.pop(0)
            build_id = self.waiting[caller].pop(0)
            if self.waiting[caller]:
                self.turns.append(caller)
            self.running.append(build_id)
            taken.append(build_id)
        self.mine += taken
        return taken

    def end(self, build_id: str) -> None:
        asked = self.open.pop(build_id)
        for group in (self.running, self.mine, self.waiting.get(asked.caller, [])):
            if build_id in group:
                group.remove(build_id)
        if not self.waiting.get(asked.caller) and asked.caller in self.turns:
            self.turns.remove(asked.caller)


class Steps:
    """Does to the store and to the model alike."""

    def __init__(self, store: BuildStore, fence: int) -> None:
        self.store = store
        self.model = Model()
        self._fence = fence

    async def start(self, caller: str, name: str) -> None:
        await self._ask(Asked(name, caller, "usual", is_forced=False))

    async def other(self, caller: str, name: str) -> None:
        await self._ask(Asked(name, caller, "other", is_forced=False))

    async def force(self, caller: str, name: str) -> None:
        await self._ask(Asked(name, caller, "usual", is_forced=True))

    async def take(self, _: str, __: str) -> None:
        unwanted = {one for one in self.model.mine if self.model.open[one].is_unwanted}
        taken, told = await self.store.take(self._fence, at_once=AT_ONCE, mine=self.model.mine)
        assert [one.build.id for one in taken] == self.model.take()
        assert told == unwanted

    async def end(self, _: str, __: str) -> None:
        if self.model.mine:
            build_id = self.model.mine[0]
            assert await self.store.finish(build_id, Outcome.FAILED, "so", fence=self._fence)
            assert not await self.store.finish(build_id, Outcome.COMPLETED, fence=self._fence)
            self.model.end(build_id)

    async def cancel(self, _: str, name: str) -> None:
        build_id = self.model.latest.get(name, "")
        is_open = build_id in self.model.open
        assert await self.store.cancel(name, "[]") is is_open
        if build_id in self.model.running:
            self.model.open[build_id].is_unwanted = True
        elif is_open:
            self.model.end(build_id)

    async def crash(self, _: str, __: str) -> None:
        self.model.mine.clear()

    async def check(self) -> None:
        model = self.model
        waiting = sum(map(len, model.waiting.values()))
        assert await self.store.census() == (len(model.running), waiting)
        running = {one.id for one in await self.store.all() if one.outcome is Outcome.RUNNING}
        assert running == model.open.keys()
        assert len(model.running) <= AT_ONCE

    async def _ask(self, asked: Asked) -> None:
        expected = self.model.answer(asked)
        before = self.model.latest.get(asked.name)
        try:
            build = await self.store.start(_request(asked), most=MOST, lines=["[]"])
        except AlreadyBuilding:
            assert expected == "busy"
        except QueueFull:
            assert expected == "full"
        else:
            assert expected == ("joined" if build.id == before else "new")
            if expected == "new":
                self.model.add(build.id, asked)


def _request(asked: Asked) -> Request:
    name = asked.name
    return Request(
        source=Source(provider="git", url=name, ref="", display_name=name, name=name),
        repository=name,
        commit="c",
        dependencies=(),
        inputs=asked.inputs,
        image=name,
        is_forced=asked.is_forced,
        caller=asked.caller,
    )


async def _play(url: str, instance: str, steps: list[tuple[str, str, str]]) -> None:
    connection = Connection(url, Keys(instance))
    try:
        await connection.client.flushdb()
        claim = await Store(connection).claim("keeper", "us", timedelta(minutes=5))
        play = Steps(BuildStore(connection, LogLimits(1000, timedelta(days=1))), claim.fence)
        for name, caller, repository in steps:
            step: Awaitable[None] = getattr(play, name)(caller, repository)
            await step
            await play.check()
    finally:
        await connection.close()


def test_the_queue_is_as_the_model_says(own_redis: RedisServer) -> None:
    @settings(
        max_examples=100,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(STEPS)
    def play(steps: list[tuple[str, str, str]]) -> None:
        asyncio.run(_play(own_redis.url, "model", steps))

    play()
