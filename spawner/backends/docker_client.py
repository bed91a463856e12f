"""Connect to a Docker daemon: one client for each lane of threads.

Each client keeps as many connections as its lane has threads and uses them
again. Docker's own adapter keeps one pool for each URL, which with a URL for
each container means a new connection for each call; ours keeps one pool, and
closes a socket that could not be connected.
"""

import socket
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from docker import APIClient
from docker.transport import UnixHTTPAdapter
from docker.transport.unixconn import UnixHTTPConnection, UnixHTTPConnectionPool
from docker.utils import kwargs_from_env

from spawner.backends.docker_errors import asking
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.threads import Lane

P = ParamSpec("P")
T = TypeVar("T")
#: What JSON the daemon gives.
Json = dict[str, Any]


class _Connection(UnixHTTPConnection):
    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout)
            connection.connect(self.unix_socket)
        except BaseException:
            connection.close()
            raise
        self.sock = connection


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:
        timeout: Any = self.timeout
        return _Connection(self.base_url, self.socket_path, timeout)


class _Adapter(UnixHTTPAdapter):
    def __init__(self, path: str, *, timeout: int, size: int) -> None:
        super().__init__(f"http+unix://{path}", timeout)
        self._pool = _Pool("http+docker://localhost", path, timeout, maxsize=size)

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        return self._pool

    def close(self) -> None:
        self._pool.close()
        super().close()


def connect(settings: DockerSettings, *, size: int) -> APIClient:
    """Give a client that keeps up to ``size`` connections, and speaks the daemon's version.

    Raises:
        BackendUnavailable: The daemon does not answer.
        BackendForbidden: It does not let us in.
    """
    with asking():
        # Any version does for this one question, whose address carries none.
        probe = _client(settings, version="1.41", size=1)
        try:
            version = probe.version(api_version=False)["ApiVersion"]
        finally:
            probe.close()
        return _client(settings, version=version, size=size)


def _client(settings: DockerSettings, *, version: str, size: int) -> APIClient:
    where = {"base_url": settings.url} if settings.url else kwargs_from_env()
    client = APIClient(version=version, timeout=settings.timeout_s, max_pool_size=size, **where)
    usual = client.get_adapter(client.base_url)
    if isinstance(usual, UnixHTTPAdapter):
        ours = _Adapter(usual.socket_path, timeout=settings.timeout_s, size=size)
        client.mount("http+docker://", ours)
        usual.close()
    return client


class DockerLane:
    """A few threads and a client of their own; connects at the first call."""

    def __init__(self, name: str, settings: DockerSettings, threads: int) -> None:
        self._lane = Lane(f"docker-{name}", threads)
        self._settings = settings
        self._threads = threads
        self._lock = threading.Lock()
        self._client: APIClient | None = None

    async def run(
        self, call: Callable[Concatenate[APIClient, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Make a call with the client, in one of the threads.

        Raises:
            BackendUnavailable: The daemon gave no answer.
            docker.errors.APIError: It answered with a 4xx that the call did not expect.
        """

        def guarded() -> T:
            with asking():
                return call(self._connected(), *args, **kwargs)

        return await self._lane.run(guarded)

    def close(self) -> None:
        """Give back the threads and the connections."""
        self._lane.close()
        with self._lock:
            if self._client:
                self._client.close()

    def _connected(self) -> APIClient:
        with self._lock:
            if self._client is None:
                self._client = connect(self._settings, size=self._threads)
            return self._client
