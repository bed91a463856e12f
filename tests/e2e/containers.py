"""What the Docker daemon itself says of an instance."""

import time
from contextlib import suppress

import docker
from docker.errors import APIError

from tests.networks import remove_networks


def containers(instance: str) -> set[str]:
    """List the ids of all environments of an instance that have a container, running or not."""
    client = docker.from_env()
    try:
        found = client.api.containers(all=True, filters={"label": f"tmpenv.instance={instance}"})
        return {one["Labels"]["tmpenv.id"] for one in found}
    finally:
        client.close()


def remove_all(instance: str) -> None:
    """Remove whatever an instance has left.

    A start that the end of a tmpenv cut off may still go on in the daemon, so
    it is over only when no container uses the network, which all need.
    """
    client = docker.from_env(timeout=300)  # a busy daemon takes its time over a hundred
    label = f"tmpenv.instance={instance}"
    deadline = time.monotonic() + 60
    try:
        is_over = False
        while not is_over:
            assert time.monotonic() < deadline, f"{instance} cannot be removed"
            for one in client.api.containers(all=True, filters={"label": label}):
                with suppress(APIError):
                    client.api.remove_container(one["Id"], force=True, v=True)
                deadline = time.monotonic() + 60
            is_over = remove_networks(client.api, label)
        for image in client.api.images(filters={"label": label}):
            client.api.remove_image(image["Id"], force=True)
    finally:
        client.close()
