"""What many tests share: a real Redis, and instances on it that never meet."""

import itertools
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

# Its pytest plugin imports it at the very end if nobody did, where CPython 3.11.7 can fail on
# a collection of garbage in between ("AST constructor recursion depth mismatch").
import hypothesis  # noqa: F401
import pytest

from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.store import Store
from tests.components import require
from tests.redis_server import RedisServer

# A shell that starts the tests in the background has them ignore Ctrl-C, and with them all
# that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count(1)


def _serve() -> Iterator[RedisServer]:
    require("redis-server")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        server = RedisServer(Path(directory))
        server.start()
        yield server
        server.stop()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for the session; a test that stops or empties one uses its own."""
    yield from _serve()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that a test may stop, start and empty."""
    yield from _serve()


@pytest.fixture
def instance() -> str:
    """A name that no other test uses."""
    return f"test-{next(_numbers)}"


@pytest.fixture
async def connection(redis_server: RedisServer, instance: str) -> AsyncIterator[Connection]:
    connection = Connection(redis_server.url, Keys(instance))
    yield connection
    await connection.close()


@pytest.fixture
def store(connection: Connection) -> Store:
    return Store(connection)
