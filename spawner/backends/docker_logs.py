"""Follow what a container prints, as it prints it.

Each follower has a connection and a thread of its own, and reads only when the
last bytes were taken: whoever reads slowly holds up the daemon's stream, not
our memory. Being closed shuts its socket down, which ends the thread.

The SDK's own stream is not used: it takes a connection that broke for a log
that ended, and cannot be closed before the daemon sends its first byte.
"""

import struct
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress
from http import HTTPStatus
from socket import SHUT_RDWR
from typing import Any

import requests
from docker import APIClient
from docker.errors import NotFound

from spawner.backends.docker_client import connect
from spawner.backends.docker_errors import asking
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.threads import Lane
from spawner.errors import BackendUnavailable

#: The daemon answers with the first byte that is printed. So long at a time it is waited
#: for, and so long at the most a thread outlives its follower.
_ANSWER_S = 5
#: How long the daemon may take to note that a container whose stream is over has ended.
_NOTED_S = 5
#: Before each piece of output: which stream it is of, and its length.
_FRAME = struct.Struct(">BxxxL")
_OVER = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)  # not there; being removed


async def follow(settings: DockerSettings, name: str, lines: int) -> AsyncGenerator[bytes, None]:
    """Give the last lines of a container, then what it prints until it ends.

    Raises:
        BackendUnavailable: The daemon gave no answer, or the stream broke.
    """
    reader = _Reader(settings, name, lines)
    lane = Lane("docker-follow", 1)
    try:
        while printed := await lane.run(reader.read):
            yield printed
    finally:
        reader.close()
        lane.close()


class _Reader:
    """Reads one stream; all but :meth:`close` is called in the follower's thread.

    Closing it while its thread reads leaves the rest to the thread.
    """

    def __init__(self, settings: DockerSettings, name: str, lines: int) -> None:
        self._settings = settings
        self._name = name
        self._lines = lines
        self._lock = threading.Lock()
        self._client: APIClient | None = None
        self._answer: requests.Response | None = None
        self._is_reading = False
        self._is_closed = False

    def read(self) -> bytes:
        """Wait for the next bytes; none once the container has ended, or is not there.

        Raises:
            BackendUnavailable: The stream broke, and the container may go on.
        """
        with self._lock:
            self._refuse_if_closed()
            self._is_reading = True
        try:
            with asking():
                return self._read()
        except NotFound:
            return b""
        finally:
            with self._lock:
                self._is_reading = False
                if self._is_closed:
                    self._release()

    def close(self) -> None:
        """Give everything back; never waits."""
        with self._lock:
            self._is_closed = True
            if not self._is_reading:
                self._release()
            elif self._answer is not None:
                # It may have broken by itself in this very moment.
                with suppress(OSError, AttributeError):
                    _socket(self._answer).shutdown(SHUT_RDWR)

    def _read(self) -> bytes:
        if self._client is None:
            self._client = connect(self._settings, size=2)
        if self._answer is None and not self._open(self._client):
            return b""
        assert self._answer is not None
        raw = self._answer.raw
        while head := raw.read(_FRAME.size):
            if len(head) < _FRAME.size:
                raise BackendUnavailable("Docker's stream of a log broke.")
            printed: bytes = raw.read(_FRAME.unpack(head)[1])
            if printed:
                return printed
        self._client.wait(self._name, timeout=_NOTED_S)
        return b""

    def _open(self, client: APIClient) -> bool:
        """Ask for the stream; False if there is none."""
        url = f"{client.base_url}/v{client.api_version}/containers/{self._name}/logs"
        wanted = {"follow": 1, "stdout": 1, "stderr": 1, "tail": self._lines}
        while True:
            try:
                answer = client.get(url, params=wanted, stream=True, timeout=_ANSWER_S)
                break
            except requests.ReadTimeout:
                # It has printed nothing yet; or the daemon hangs, which this tells.
                client.ping()
            with self._lock:
                self._refuse_if_closed()
        with self._lock:
            self._answer = answer
            self._refuse_if_closed()
            _socket(answer).settimeout(None)
        if answer.status_code in _OVER:
            return False
        answer.raise_for_status()
        return True

    def _refuse_if_closed(self) -> None:
        if self._is_closed:
            raise BackendUnavailable("Nobody follows this log any more.")

    def _release(self) -> None:
        if self._answer is not None:
            self._answer.close()
        if self._client is not None:
            self._client.close()


def _socket(answer: requests.Response) -> Any:
    connection: Any = answer.raw.connection
    return connection.sock
