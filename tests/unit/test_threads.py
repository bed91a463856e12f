"""Calls that are shared, and calls that outlive those who asked."""

import asyncio

import pytest

from spawner.backends.threads import InFlight, Lane


async def test_calls_for_one_key_share_one() -> None:
    began, gate = asyncio.Event(), asyncio.Event()
    calls: list[int] = []

    async def call() -> int:
        calls.append(1)
        began.set()
        await gate.wait()
        return len(calls)

    flights = InFlight[int]()
    joined = [asyncio.create_task(flights.join("a", call)) for _ in range(3)]
    await began.wait()  # the call is made after all three have asked
    gate.set()

    assert await asyncio.gather(*joined) == [1, 1, 1]


async def test_a_call_is_settled_only_when_it_has_ended_though_its_caller_has_gone() -> None:
    began, gate = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def call() -> None:
        began.set()
        await gate.wait()
        ended.append("call")

    flights = InFlight[None]()
    caller = asyncio.create_task(flights.join("a", call))
    await began.wait()
    caller.cancel()
    settled = asyncio.create_task(flights.settled("a"))
    await asyncio.wait([caller])
    assert not settled.done()

    gate.set()
    await settled

    assert ended == ["call"]
    await flights.settled("a")


async def test_a_failure_reaches_every_caller_and_is_not_kept() -> None:
    async def fail() -> None:
        raise ValueError("no")

    async def succeed() -> None:
        return None

    flights = InFlight[None]()
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            await flights.join("a", fail)

    await flights.join("a", succeed)


async def test_a_lane_makes_calls_in_its_threads() -> None:
    lane = Lane("x", 1)

    assert await lane.run(sorted, [2, 1], reverse=True) == [2, 1]

    lane.close()
