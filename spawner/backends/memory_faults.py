"""The ways in which a backend fails, each as a fake with a name.

Each is the in-memory backend with one fault, which lasts until its flag is
turned off or its count has run down.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import ClassVar

from spawner.backends.base import Order, Progress
from spawner.backends.memory import MemoryBackend, World
from spawner.errors import BackendUnavailable, ImageUnavailable, StartFailed, StopFailed
from spawner.model import Address, Template


class Unreachable(MemoryBackend):
    """Gives no answer to anything while ``is_away``."""

    is_away = True

    async def reach(self) -> None:
        await super().reach()
        if self.is_away:
            raise BackendUnavailable("The backend does not answer.")


class NeverStarts(MemoryBackend):
    """Refuses every start while ``refuses``, and leaves nothing behind."""

    refuses = True
    reason = "no such executable"

    async def start(self, order: Order) -> Address:
        if self.refuses:
            await self.reach()
            raise StartFailed(self.reason)
        return await super().start(order)


class NeverReady(MemoryBackend):
    """Starts environments that answer 503 for ever."""

    status = 503


class DiesAtOnce(MemoryBackend):
    """Starts environments that have ended by the time one looks."""

    async def start(self, order: Order) -> Address:
        address = await super().start(order)
        self.world.residents[order.id].say("no space left on device")
        self.kill(order.id, "exit code 1")
        return address


class FailsAfterCreate(MemoryBackend):
    """Creates the environment, and then no answer comes, the first ``failures`` times."""

    failures = 1

    async def start(self, order: Order) -> Address:
        address = await super().start(order)
        if self.failures > 0:
            self.failures -= 1
            raise BackendUnavailable("The connection broke after the environment was created.")
        return address


class StopFailsTwice(MemoryBackend):
    """Says twice for each environment that it cannot be ended."""

    failures: ClassVar[int] = 2

    def __init__(self, instance: str = "test", world: World | None = None) -> None:
        super().__init__(instance, world)
        self.tries: Counter[str] = Counter()

    async def stop(self, environment_id: str, grace_s: float) -> None:
        self.tries[environment_id] += 1
        if self.tries[environment_id] <= self.failures:
            raise StopFailed("The device is busy.")
        await super().stop(environment_id, grace_s)


class ImageMissing(MemoryBackend):
    """Has no image and can pull none while ``is_missing``."""

    is_missing = True

    async def prepare(self, template: Template, progress: Progress) -> None:
        await super().prepare(template, progress)
        if self.is_missing:
            raise ImageUnavailable(template.image, "manifest unknown")


class HoldsStarts(MemoryBackend):
    """Starts nothing until ``gate`` is set; ``asked`` says that somebody waits."""

    def __init__(self, instance: str = "test", world: World | None = None) -> None:
        super().__init__(instance, world)
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()

    async def start(self, order: Order) -> Address:
        self.asked.set()
        await self.gate.wait()
        return await super().start(order)


class HoldsStops(MemoryBackend):
    """Ends nothing until ``gate`` is set."""

    def __init__(self, instance: str = "test", world: World | None = None) -> None:
        super().__init__(instance, world)
        self.gate = asyncio.Event()

    async def stop(self, environment_id: str, grace_s: float) -> None:
        await self.gate.wait()
        await super().stop(environment_id, grace_s)


class LogBreaks(MemoryBackend):
    """Breaks every log that is followed off after its first line."""

    async def follow(self, environment_id: str, lines: int) -> AsyncGenerator[bytes, None]:
        async with aclosing(super().follow(environment_id, lines)) as printed:
            async for part in printed:
                yield part
                raise BackendUnavailable("The stream broke.")
