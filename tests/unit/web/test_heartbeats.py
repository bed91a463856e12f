"""A stream in which nothing happens shows that it lives."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from web.heartbeats import with_heartbeats


class Source:
    """Gives what it is told to, and remembers how it was left."""

    def __init__(self) -> None:
        self.coming: asyncio.Queue[str] = asyncio.Queue()
        self.is_closed = False

    async def items(self) -> AsyncGenerator[str]:
        try:
            while (item := await self.coming.get()) != "end":
                if item == "break":
                    raise ValueError(item)
                yield item
        finally:
            self.is_closed = True


async def test_silence_is_told_and_loses_nothing() -> None:
    source, seen = Source(), []

    async for item in with_heartbeats(source.items(), 0.001):
        seen.append(item)
        if item is None and len(seen) == 1:
            source.coming.put_nowait("a")
            source.coming.put_nowait("b")
        if item == "b":
            source.coming.put_nowait("end")

    assert [item for item in seen if item] == ["a", "b"]
    assert seen[0] is None
    assert source.is_closed


async def test_leaving_early_closes_the_source() -> None:
    source = Source()

    async with aclosing(with_heartbeats(source.items(), 0.001)) as beaten:
        assert await anext(beaten) is None

    assert source.is_closed


async def test_a_failure_of_the_source_is_passed_on() -> None:
    source = Source()
    source.coming.put_nowait("break")

    with pytest.raises(ValueError, match="break"):
        await anext(with_heartbeats(source.items(), 60))

    assert source.is_closed
