"""Let many visitors come at once, each with choices of its own, until a moment."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from tests.soak import mishaps, visits
from tests.soak.visitor import Visitor
from tests.soak.wire import Broken
from tests.soak.world import Place, World

#: Longer than anything may take on a machine that is busy with other things.
PATIENCE_S = 45.0
_PAUSE_S = 0.1
_POLL_S = 0.05

Visit = Callable[[Visitor, Place], Awaitable[None]]

#: How often each is made, among all.
VISITS: dict[Visit, int] = {
    visits.read_on_one_connection: 20,
    visits.read_once: 10,
    visits.look: 3,
    visits.ask_ahead: 6,
    visits.wait_for_an_answer: 4,
    visits.download: 8,
    visits.download_slowly: 2,
    visits.upload: 8,
    visits.upload_what_is_refused: 3,
    visits.talk: 10,
    visits.be_refused_an_upgrade: 4,
    visits.follow_events: 4,
    mishaps.leave_in_the_head: 6,
    mishaps.leave_in_the_upload: 6,
    mishaps.leave_in_the_download: 6,
    mishaps.leave_while_waiting: 5,
    mishaps.leave_stuck: 1,
    mishaps.lie_idle: 2,
    mishaps.be_cut_off: 5,
    mishaps.get_nonsense: 5,
    mishaps.talk_nonsense: 5,
    mishaps.come_too_late: 8,
}


async def crowd(world: World, *, seed: str, visitors: int, until: float) -> None:
    """Return when all have left."""
    async with asyncio.TaskGroup() as group:
        for number in range(visitors):
            chance = random.Random(f"{seed} {number}")
            group.create_task(_come_and_go(Visitor(world, chance, until)))
        group.create_task(_poll_the_dead(Visitor(world, random.Random(seed), until)))


async def _come_and_go(visitor: Visitor) -> None:
    world, chance = visitor.world, visitor.chance
    while time.monotonic() < visitor.until:
        await visitor.pause(_PAUSE_S)
        place = chance.choice(world.places) if world.places else None
        if place is None:
            continue
        (visit,) = chance.choices(tuple(VISITS), tuple(VISITS.values()))
        try:
            async with asyncio.timeout(PATIENCE_S):
                await visit(visitor, place)
        except TimeoutError:
            visitor.fault(f"{visit.__name__} at {place} hung for {PATIENCE_S} s")
        except Broken as error:
            if place.is_ending and visit is not mishaps.come_too_late:
                visitor.note(f"{visit.__name__}: broken off")
            else:
                visitor.fault(f"{visit.__name__} at {place} broke off {error}")
        visitor.note("visits")


async def _poll_the_dead(visitor: Visitor) -> None:
    """Ask for what is gone as a stale tab does, on one connection."""
    async with visitor.line() as line:
        while time.monotonic() < visitor.until:
            await line.send(visitor.head("GET", f"{visitor.gone()}/api/kernels"))
            async with asyncio.timeout(PATIENCE_S):
                answer = await line.answer()
            if answer.status != visitor.world.gone:
                visitor.fault(f"what is gone answered {answer}")
            visitor.note("polls of the dead")
            await asyncio.sleep(_POLL_S)
