"""Measure a backend from outside: how long it takes, and how often it fails.

Whatever else it can do goes to it as it is, so a backend knows nothing of this.
"""

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, cast

from spawner.backends.base import Backend, Observed, Order, Progress
from spawner.errors import ServiceError
from spawner.model import Address, Template
from spawner.recorder import Operation, Recorder


def recorded(backend: Backend, recorder: Recorder) -> Backend:
    """Give ``backend`` as it is, but measured."""
    return cast("Backend", _Recorded(backend, recorder))


class _Recorded:
    def __init__(self, backend: Backend, recorder: Recorder) -> None:
        self._backend = backend
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    async def ping(self) -> None:
        with self._failures():
            await self._backend.ping()

    async def prepare(self, template: Template, progress: Progress) -> None:
        with self._timed("prepare"):
            await self._backend.prepare(template, progress)

    async def start(self, order: Order) -> Address:
        with self._timed("start"):
            return await self._backend.start(order)

    async def stop(self, environment_id: str, grace_s: float) -> None:
        with self._timed("stop"):
            await self._backend.stop(environment_id, grace_s)

    async def inspect(self, environment_id: str) -> Observed | None:
        with self._failures():
            return await self._backend.inspect(environment_id)

    async def list(self) -> list[Observed]:
        with self._failures():
            return await self._backend.list()

    async def tail(self, environment_id: str, lines: int) -> str:
        with self._failures():
            return await self._backend.tail(environment_id, lines)

    async def endings(self) -> AsyncGenerator[str, None]:
        with self._failures():
            async with aclosing(self._backend.endings()) as ended:
                async for environment_id in ended:
                    yield environment_id

    @contextmanager
    def _timed(self, operation: Operation) -> Iterator[None]:
        """Time what succeeds: how long a failure took says nothing of the rest."""
        began = time.monotonic()
        with self._failures():
            yield
        self._recorder.backend_did(operation, time.monotonic() - began)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except ServiceError as error:
            self._recorder.backend_failed(error.code)
            raise
