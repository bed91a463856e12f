"""Speak to Redis: one client, the scripts, and one way to fail.

Whatever goes wrong between here and Redis is :class:`StoreUnavailable`:
what was asked for may or may not have happened. Nothing is tried twice
behind the caller's back, since a hand-out that was sent twice is two.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError, ResponseError

from spawner.errors import StoreUnavailable
from spawner.recorder import UNRECORDED, Recorder
from spawner.store.keys import Keys

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 5.0
MAX_CONNECTIONS = 128


class Fenced(Exception):
    """Another holder has the lease: stop writing."""


class Connection:
    """A client of one instance's keys."""

    def __init__(self, url: str, keys: Keys, recorder: Recorder = UNRECORDED) -> None:
        self.keys = keys
        self._recorder = recorder
        # Untyped on purpose: the client's annotations do not know of decode_responses.
        self.client: Any = Redis.from_url(
            url,
            decode_responses=True,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            # The client's own timeout would be asyncio.wait_for, which can swallow
            # a cancellation on Python 3.11; answers() sets a deadline instead.
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
            max_connections=MAX_CONNECTIONS,
        )
        lua = resources.files("spawner.store") / "lua"
        prelude = (lua / "prelude.lua").read_text()
        self._scripts: dict[str, AsyncScript] = {
            file.name.removesuffix(".lua"): self.client.register_script(prelude + file.read_text())
            for file in lua.iterdir()
            if file.name.endswith(".lua") and file.name != "prelude.lua"
        }

    async def run(self, script: str, *arguments: str | int) -> Any:
        """Run one script as one atomic step.

        Raises:
            Fenced: The fence among the arguments has been overtaken.
            StoreUnavailable: No answer came.
        """
        async with self.answers():
            return await self._scripts[script](keys=[self.keys.prefix], args=list(arguments))

    @asynccontextmanager
    async def answers(self) -> AsyncIterator[None]:
        """Wait so long for an answer, and turn every failure into what callers tell apart."""
        began = time.monotonic()
        try:
            with self.failures():
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    yield
        except StoreUnavailable:
            self._recorder.store_failed()
            raise
        self._recorder.store_answered(time.monotonic() - began)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn every failure into what callers tell apart, however long it takes."""
        try:
            yield
        except ResponseError as error:
            if str(error).startswith("FENCED"):
                raise Fenced from error
            raise StoreUnavailable from error
        except (RedisError, OSError, TimeoutError) as error:
            raise StoreUnavailable from error

    async def close(self) -> None:
        """Close every connection."""
        await self.client.aclose()
