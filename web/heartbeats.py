"""Tell that a stream lives while there is nothing to tell."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def with_heartbeats(items: AsyncGenerator[T], every_s: float) -> AsyncGenerator[T | None]:
    """Give the items as they come, and None whenever none has come for ``every_s``.

    Being closed closes ``items``.
    """
    coming: asyncio.Task[T] | None = None
    try:
        while True:
            coming = coming or asyncio.create_task(_next(items))
            await asyncio.wait({coming}, timeout=every_s)
            if not coming.done():
                yield None
                continue
            come, coming = coming, None
            try:
                item = come.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        if coming is not None:
            coming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await coming
        await items.aclose()


async def _next(items: AsyncGenerator[T]) -> T:
    return await anext(items)
