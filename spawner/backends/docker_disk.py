"""Hold a container to a size, where Docker can; measure what it has written, everywhere.

Which daemons can is known from their storage driver, and at the latest from
their refusal. What a container has written is its own layer and its anonymous
volumes. Docker walks the layer to measure it: that takes as long as there are
files, and so has a lane of its own.
"""

import threading
import time
from collections.abc import Iterator

from docker import APIClient

from spawner.backends.docker_client import Json
from spawner.backends.docker_spec import ENVIRONMENT, ID, INSTANCE, KIND
from spawner.errors import BackendUnavailable

#: Measuring volumes walks through everything that the daemon has: not for each container anew.
_VOLUMES_KEPT_S = 20.0


def storage_opt(info: Json, disk: int, image_size: int) -> Json | None:
    """Give what holds a layer to ``disk`` bytes, from what the daemon says of itself (pure).

    None if its storage driver cannot. It refuses still where quotas are not turned on.
    """
    status = dict(info.get("DriverStatus") or ())
    match info.get("Driver"):
        case "overlay2" if status.get("Backing Filesystem") == "xfs":
            size = disk
        case "zfs":
            size = disk
        case "btrfs":  # counts what a layer shares with its image as well
            size = disk + image_size
        case _:
            return None
    return {"size": str(size)}


def is_refusal(words: str) -> bool:
    """Say whether the daemon refused because it cannot hold a layer to a size (pure)."""
    told = words.lower()
    return "storage-opt" in told or "storage opt" in told


class Sizes:
    """What the containers of an instance have written."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._lock = threading.Lock()  # the daemon refuses to measure twice at once
        self._volumes: dict[str, int] = {}
        self._asked_at = 0.0

    def of(self, client: APIClient, environment_id: str) -> int | None:
        """Measure an environment with its companions; None if there is none.

        Raises:
            BackendUnavailable: The daemon could not measure it.
        """
        labels = [f"{INSTANCE}={self._instance}", f"{ID}={environment_id}"]
        found = client.containers(all=True, size=True, filters={"label": labels})
        if not any(one["Labels"].get(KIND) == ENVIRONMENT for one in found):
            return None
        sizes = [size for one in found for size in self._sizes(client, one)]
        if min(sizes) < 0:
            raise BackendUnavailable("Docker could not measure what it has written.")
        return int(sum(sizes))

    def _sizes(self, client: APIClient, container: Json) -> Iterator[int]:
        yield container.get("SizeRw", 0)  # left out where nothing was written
        for mount in container.get("Mounts") or ():
            if mount["Type"] == "volume":
                yield self._volume(client, mount["Name"])

    def _volume(self, client: APIClient, name: str) -> int:
        """Give the bytes in a volume; negative if that is not known."""
        with self._lock:
            if name not in self._volumes or time.monotonic() > self._asked_at + _VOLUMES_KEPT_S:
                known = client.df()["Volumes"] or ()
                self._volumes = {one["Name"]: one["UsageData"]["Size"] for one in known}
                self._asked_at = time.monotonic()
            return self._volumes.get(name, -1)
