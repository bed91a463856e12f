"""A real Redis for tests, that can be stopped, started again and emptied."""

import subprocess
import time
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from spawner.store.embedded import find_server


class RedisServer:
    """One server on a Unix socket, with its append-only file."""

    def __init__(self, directory: Path, password: str = "") -> None:
        self.directory = directory
        self._password = password
        self.socket = directory / "redis.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{f':{self._password}@' if self._password else ''}{self.socket}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(find_server(), "--port", "0", "--unixsocket", str(self.socket)),
                *("--dir", str(self.directory), "--appendonly", "yes", "--save", ""),
                *("--requirepass", self._password),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 15
        while not self.answers():
            assert time.monotonic() < deadline, "redis-server does not answer"
            time.sleep(0.01)

    def answers(self) -> bool:
        with Redis.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except (RedisError, OSError):
                return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)
            self._process = None

    def empty(self) -> None:
        with Redis.from_url(self.url) as client:
            client.flushall()
