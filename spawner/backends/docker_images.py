"""Have images at hand, and know as whom they run and how large they are.

Each image is looked at once and that remembered, so that a start costs no
question; :mod:`spawner.backends.docker` looks again at what was started, in
case a tag was moved meanwhile.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass

from docker import APIClient
from docker.errors import APIError, NotFound

from spawner.backends.base import Progress
from spawner.backends.docker_client import DockerLane, Json
from spawner.backends.docker_errors import one_line, status_of, words_of
from spawner.backends.threads import InFlight
from spawner.builder.logins import Login
from spawner.errors import ImageUnavailable

#: How much of a layer's way is done when it is here but not yet unpacked.
_FETCHED = 0.7


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to know of an image."""

    #: As whom it runs.
    user: str
    #: Bytes of all its layers.
    size: int


class Images:
    """The images of a daemon, as far as they were asked for."""

    def __init__(
        self, *, queries: DockerLane, pulls: DockerLane, login: Login | None = None
    ) -> None:
        self._queries = queries
        self._pulls = pulls
        self._login = login
        self._pulling = InFlight[None]()
        self._told: defaultdict[str, list[Progress]] = defaultdict(list)
        self._seen: dict[str, Seen] = {}

    async def ensure(self, image: str, progress: Progress) -> None:
        """Return when the image is here; calls for one image share one pull.

        Raises:
            ImageUnavailable: It is not, and could not be pulled.
        """
        if await self.is_here(image):
            return
        listeners = self._told[image]
        listeners.append(progress)
        try:
            await self._pulling.join(image, lambda: self._pull(image))
        finally:
            listeners.remove(progress)

    async def look(self, image: str) -> Seen:
        """Give what there is to know of an image.

        Raises:
            ImageUnavailable: It is not here.
        """
        if image not in self._seen and not await self.is_here(image):
            raise ImageUnavailable(image, "it was removed")
        return self._seen[image]

    def forget(self, image: str) -> None:
        """Look at the image again before the next use: it is not what it was."""
        self._seen.pop(image, None)

    async def close(self) -> None:
        """Stop waiting for pulls; the daemon gives them up by itself."""
        await self._pulling.close()

    async def is_here(self, image: str) -> bool:
        """Say whether the image is here; if so, it is known from then on."""
        seen = await self._queries.run(_look, image)
        if seen is None:
            self.forget(image)
            return False
        self._seen[image] = seen
        return True

    async def _pull(self, image: str) -> None:
        loop = asyncio.get_running_loop()

        def tell(line: str) -> None:
            for progress in list(self._told[image]):
                progress(line)

        def tell_from_thread(line: str) -> None:
            loop.call_soon_threadsafe(tell, line)

        login = self._login.of(image) if self._login else None
        await self._pulls.run(_pull, image, login, tell_from_thread)
        if not await self.is_here(image):
            raise ImageUnavailable(image, "Docker pulled it and does not have it")


class PullProgress:
    """Condense the many lines of a pull: pure.

    Layers that are here already do not count: they are told first, and what is
    told about the rest would be nothing new.
    """

    def __init__(self, image: str) -> None:
        self._image = image
        self._layers: dict[str, float] = {}
        self._last = -1

    def line(self, entry: Json) -> str | None:
        """Take in one status line; give a line for people when the percentage has grown."""
        self._take(entry)
        if not self._layers:
            return None
        percent = int(100 * sum(self._layers.values()) / len(self._layers))
        if percent <= self._last:
            return None
        self._last = percent
        return f"pulling {self._image}: {percent} %"

    def _take(self, entry: Json) -> None:
        layer, status = entry.get("id", ""), entry.get("status", "")
        detail = entry.get("progressDetail") or {}
        share = detail.get("current", 0) / total if (total := detail.get("total")) else 0.0
        match status:
            case "Pulling fs layer" | "Waiting":
                self._layers[layer] = 0.0
            case "Downloading":
                self._layers[layer] = _FETCHED * share
            case "Verifying Checksum" | "Download complete":
                self._layers[layer] = _FETCHED
            case "Extracting":
                self._layers[layer] = _FETCHED + (1 - _FETCHED) * share
            case "Pull complete":
                self._layers[layer] = 1.0
            case "Already exists" if layer in self._layers:  # another pull has brought it
                self._layers[layer] = 1.0


def _look(client: APIClient, image: str) -> Seen | None:
    try:
        found = client.inspect_image(image)  # type: ignore[no-untyped-call]
    except NotFound:
        return None
    except APIError as error:
        if status_of(error) >= 500:
            raise
        raise ImageUnavailable(image, words_of(error)) from error
    return Seen(str((found.get("Config") or {}).get("User") or ""), int(found.get("Size") or 0))


def _pull(client: APIClient, image: str, login: Json | None, tell: Progress) -> None:
    progress = PullProgress(image)
    try:
        for entry in client.pull(image, stream=True, decode=True, auth_config=login):
            if reason := entry.get("error"):
                raise ImageUnavailable(image, one_line(reason))
            if line := progress.line(entry):
                tell(line)
    except APIError as error:
        # A registry that gives no answer is a 500 of the daemon's: it did answer.
        raise ImageUnavailable(image, words_of(error)) from error
