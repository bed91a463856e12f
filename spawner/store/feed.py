"""Hear of every change in the store, from every process.

The one rule: after each gap, whoever listens is told that something may have
been missed, so that nobody has to trust that a message arrived.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from spawner.errors import StoreUnavailable
from spawner.store.connection import ANSWER_TIMEOUT_S, Connection

log = logging.getLogger(__name__)

T = TypeVar("T")
QUIET_S = 10.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Feed(Generic[T]):
    """One subscription, told to any number of listeners.

    The mutable state is the listeners, whether the subscription stands, and whether
    it ever fell.
    """

    def __init__(
        self, connection: Connection, channel: str, read: Callable[[str | None], T]
    ) -> None:
        """Bind; ``read`` tells what a message means, and None what a gap means."""
        self._connection = connection
        self._channel = channel
        self._read_message = read
        self._listeners: list[Callable[[T], None]] = []
        self.is_connected = False
        self._was_lost = False

    def listen(self, listener: Callable[[T], None]) -> None:
        """Call ``listener`` for each change, in the order in which Redis made them."""
        self._listeners.append(listener)

    def ignore(self, listener: Callable[[T], None]) -> None:
        """Stop calling ``listener``."""
        self._listeners.remove(listener)

    async def run(self) -> None:
        """Listen until cancelled; come back after every failure, ever more patiently."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                await self._subscribe()
            except StoreUnavailable:
                if self.is_connected:
                    log.warning("The store went away", extra=self._facts("store.lost"))
                    self._was_lost = True
                    pause_s = FIRST_PAUSE_S
                self.is_connected = False
                # Jitter, so that many replicas do not come back in one instant.
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _subscribe(self) -> None:
        with self._connection.failures():
            pubsub = self._connection.client.pubsub()
            try:
                await pubsub.subscribe(self._channel)
                await self._read(pubsub)
            finally:
                await pubsub.aclose()

    async def _read(self, pubsub: object) -> None:
        subscription: Any = pubsub
        is_asked = False
        while True:
            message = await subscription.get_message(
                timeout=ANSWER_TIMEOUT_S if is_asked else QUIET_S
            )
            if message is None:
                if is_asked:
                    raise StoreUnavailable
                await subscription.ping()
                is_asked = True
                continue
            is_asked = False
            if message["type"] == "subscribe":
                self._resume()
            elif message["type"] == "message":
                self._tell(self._read_message(message["data"]))

    def _resume(self) -> None:
        if not self.is_connected:
            level = logging.INFO if self._was_lost else logging.DEBUG
            log.log(level, "Listening to the store", extra=self._facts("store.found"))
        self.is_connected = True
        self._tell(self._read_message(None))

    def _facts(self, event: str) -> dict[str, str]:
        return {"event": event, "channel": self._channel}

    def _tell(self, event: T) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                # One listener's mistake must not silence the others.
                log.exception("A listener failed", extra={"event": "feed.listener_failed"})
