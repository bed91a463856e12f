"""Wait for what another process does, with a deadline instead of a guess."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    check: Callable[[], Awaitable[T]], *, within: float = 15.0, every: float = 0.02
) -> T:
    """Call ``check`` until it gives something true, and give that.

    Raises:
        AssertionError: It did not within so many seconds; the text shows its last answer.
    """
    deadline = time.monotonic() + within
    while True:
        answer = await check()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"still {answer!r} after {within} s"
        await asyncio.sleep(every)
