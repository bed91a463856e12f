"""What builds need of a Docker daemon, beside the building: its images, its cache, its disk.

The making itself goes through the docker command (:mod:`spawner.builder.engine`):
the SDK does not speak BuildKit.
"""

import re
import threading
from collections.abc import Callable

from docker import APIClient
from docker.errors import APIError, NotFound

from spawner.backends.docker_client import DockerLane, Json
from spawner.backends.docker_errors import one_line, status_of, words_of
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import INSTANCE, KIND
from spawner.builder.logins import Login
from spawner.builder.pruning import Made
from spawner.errors import BackendUnavailable, BuildFailed

IMAGE = "image"
#: What Docker says of a registry that gave no answer; its other words are an answer.
_UNANSWERED = re.compile(
    r"dial tcp|connection re|no such host|timeout|EOF|HTTP status: 5\d\d|TLS handshake"
    r"|Client\.Timeout|context deadline",
    re.IGNORECASE,
)


class BuildHost:
    """A daemon, as builds use it."""

    def __init__(self, settings: DockerSettings, instance: str, login: Login | None) -> None:
        self._instance = instance
        self._login = login
        self._queries = DockerLane("build-query", settings, 2)
        self._slow = DockerLane("build-slow", settings, 4)  # pushes and prunes

    def close(self) -> None:
        """Give back threads and connections."""
        self._queries.close()
        self._slow.close()

    async def ping(self) -> None:
        """Return if the daemon answers.

        Raises:
            BackendUnavailable: It does not.
        """
        await self._queries.run(lambda client: client.ping())

    async def user_of(self, image: str) -> str | None:
        """Say as whom an image runs; None if it is not here."""
        return await self._queries.run(_user_of, image)

    async def remove(self, image: str) -> bool:
        """Remove an image or its name; False if it is in use, and so is left."""
        return await self._slow.run(_remove, image)

    async def made(self) -> list[Made]:
        """Give the images that this instance has made."""
        return await self._queries.run(_made, self._instance)

    async def used_ids(self) -> set[str]:
        """Give the ids of the images of all containers, whether they run or not."""
        return await self._queries.run(
            lambda client: {one["ImageID"] for one in client.containers(all=True)}
        )

    async def root(self) -> str:
        """Give the directory in which the daemon has its files."""
        return await self._queries.run(lambda client: str(client.info().get("DockerRootDir", "")))

    async def prune_cache(self, free: int) -> int:
        """Have BuildKit drop so many bytes of its cache, the oldest first; give how many went."""
        return await self._slow.run(_prune_cache, free)

    async def push(self, image: str, told: Callable[[str], None]) -> None:
        """Push an image; ``told`` is called in a thread. Being cancelled ends it at the next word.

        Raises:
            BuildFailed: The registry refused.
            BackendUnavailable: It gave no answer, or the daemon gave none.
        """
        login = self._login.of(image) if self._login else None
        given_up = threading.Event()
        try:
            await self._slow.run(_push, image, login, told, given_up)
        finally:
            given_up.set()


class PushProgress:
    """Condense the many lines of a push: pure."""

    def __init__(self) -> None:
        self._layers: dict[str, float] = {}
        self._last = -1

    def line(self, entry: Json) -> str | None:
        """Take in one status line; give one for people when another tenth is done."""
        layer, status = entry.get("id", ""), entry.get("status", "")
        detail = entry.get("progressDetail") or {}
        match status:
            case "Preparing" | "Waiting":
                self._layers[layer] = 0.0
            case "Pushing" if total := detail.get("total"):
                # Docker counts in its own estimate of the size, which it may surpass.
                self._layers[layer] = min(1.0, detail.get("current", 0) / total)
            case "Pushed" | "Layer already exists":
                self._layers[layer] = 1.0
        if not self._layers:
            return None
        tenths = int(10 * sum(self._layers.values()) / len(self._layers))
        if tenths <= self._last:
            return None
        self._last = tenths
        return f"pushing: {10 * tenths} %"


def _user_of(client: APIClient, image: str) -> str | None:
    try:
        found = client.inspect_image(image)  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    return str((found.get("Config") or {}).get("User") or "")


def _remove(client: APIClient, image: str) -> bool:
    try:
        client.remove_image(image)
    except NotFound:
        return True
    except APIError as error:
        if status_of(error) != 409:
            raise
        return False
    return True


def _made(client: APIClient, instance: str) -> list[Made]:
    found = client.images(filters={"label": [f"{INSTANCE}={instance}", f"{KIND}={IMAGE}"]})
    return [
        Made(
            id=one["Id"],
            names=tuple(name for name in one.get("RepoTags") or () if name != "<none>:<none>"),
            created=int(one["Created"]),
        )
        for one in found
    ]


def _prune_cache(client: APIClient, free: int) -> int:
    cache = client.df().get("BuildCache") or ()
    size = sum(one["Size"] for one in cache if not one.get("Shared"))
    answer = client.prune_builds(keep_storage=max(0, size - free), all=True)
    return int(answer.get("SpaceReclaimed") or 0)


def _push(
    client: APIClient,
    image: str,
    login: Json | None,
    told: Callable[[str], None],
    given_up: threading.Event,
) -> None:
    progress = PushProgress()
    stream = client.push(image, stream=True, decode=True, auth_config=login)
    try:
        for entry in stream:
            if given_up.is_set():
                return
            if reason := entry.get("error"):
                raise _refusal(image, reason)
            if line := progress.line(entry):
                told(line)
    except APIError as error:
        raise _refusal(image, words_of(error)) from error
    finally:
        stream.close()


def _refusal(image: str, reason: str) -> BuildFailed | BackendUnavailable:
    words = one_line(reason)
    if _UNANSWERED.search(words):
        return BackendUnavailable(f"The registry gave no answer to the push of {image}: {words}")
    return BuildFailed(f"The registry refused {image}: {words}")
