"""Hear of every change in the store, from every process.

The one rule: after each gap, whoever listens is told that something may have
been missed (an :class:`Event` without a template), so that nobody has to
trust that a message arrived.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from spawner.errors import StoreUnavailable
from spawner.store.connection import ANSWER_TIMEOUT_S, Connection
from spawner.store.records import Event, read_event

log = logging.getLogger(__name__)

Listener = Callable[[Event], None]
QUIET_S = 10.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0


class Feed:
    """One subscription, told to any number of listeners.

    The mutable state is the listeners and whether the subscription stands.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._listeners: list[Listener] = []
        self.is_connected = False

    def listen(self, listener: Listener) -> None:
        """Call ``listener`` for each change, in the order in which Redis made them."""
        self._listeners.append(listener)

    def ignore(self, listener: Listener) -> None:
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
                    log.warning("The store went away", extra={"event": "store.lost"})
                    pause_s = FIRST_PAUSE_S
                self.is_connected = False
                # Jitter, so that many replicas do not come back in one instant.
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _subscribe(self) -> None:
        with self._connection.failures():
            pubsub = self._connection.client.pubsub()
            try:
                await pubsub.subscribe(self._connection.keys.events)
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
                self._tell(read_event(message["data"]))

    def _resume(self) -> None:
        if not self.is_connected:
            log.info("Listening to the store", extra={"event": "store.found"})
        self.is_connected = True
        self._tell(Event())

    def _tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:
                # One listener's mistake must not silence the others.
                log.exception("A listener failed", extra={"event": "feed.listener_failed"})
