"""Listen to Docker's events for containers that die.

The stream is read by a thread of its own, which ends when the iterator is
closed: its socket is shut down under it.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Container
from contextlib import suppress
from typing import Any

from docker import APIClient

from spawner.backends.docker_client import connect
from spawner.backends.docker_errors import asking
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import ENVIRONMENT, ID, INSTANCE, KIND
from spawner.errors import BackendUnavailable, ServiceError


async def endings(
    settings: DockerSettings, instance: str, *, since: float, expected: Container[str]
) -> AsyncGenerator[str, None]:
    """Give the ids of environments that die, but for those whose end is expected.

    Raises:
        BackendUnavailable: The stream broke.
    """
    ear = _Ear(settings, instance, since)
    ear.start()
    try:
        while True:
            heard = await ear.heard.get()
            if isinstance(heard, ServiceError):
                raise heard
            if heard not in expected:
                yield heard
    finally:
        ear.close()


class _Ear(threading.Thread):
    """Reads the stream and puts what it hears, in the end a failure, into a queue."""

    def __init__(self, settings: DockerSettings, instance: str, since: float) -> None:
        super().__init__(name="docker-events", daemon=True)
        self.heard: asyncio.Queue[str | ServiceError] = asyncio.Queue()
        self._settings = settings
        self._instance = instance
        self._since = since
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._stream: Any = None
        self._is_closed = False

    def close(self) -> None:
        """End the thread, wherever it is."""
        with self._lock:
            self._is_closed = True
            if self._stream is not None:
                # It may have broken by itself in this very moment.
                with suppress(OSError, AttributeError, ValueError):
                    self._stream.close()

    def run(self) -> None:
        """Read until the stream breaks or is closed."""
        try:
            with asking():
                self._listen()
            failure: ServiceError = BackendUnavailable("Docker's stream of events ended.")
        except ServiceError as error:
            failure = error
        self._tell(failure)

    def _listen(self) -> None:
        client = connect(self._settings, size=1)
        try:
            stream = self._open(client)
            with self._lock:
                self._stream = stream
                if self._is_closed:
                    stream.close()
            for event in stream:
                self._tell(event["Actor"]["Attributes"].get(ID, ""))
        finally:
            client.close()

    def _open(self, client: APIClient) -> Any:
        wanted = {
            "type": "container",
            "event": "die",
            "label": [f"{INSTANCE}={self._instance}", f"{KIND}={ENVIRONMENT}"],
        }
        # Told again from this second on, so that none is missed while connecting.
        return client.events(since=int(self._since), filters=wanted, decode=True)

    def _tell(self, heard: str | ServiceError) -> None:
        with suppress(RuntimeError):  # the loop has closed: nobody listens
            self._loop.call_soon_threadsafe(self.heard.put_nowait, heard)
