"""Start and remove one container: the calls themselves, which block.

A start is three calls (create, start, inspect), which is one more than a bare
script needs; whatever else must be known is known before.
"""

import math
import time
from contextlib import suppress

from docker import APIClient
from docker.errors import APIError, NotFound

from spawner.backends.docker_client import Json
from spawner.backends.docker_disk import is_refusal
from spawner.backends.docker_errors import one_line, status_of, words_of
from spawner.backends.docker_spec import ENVIRONMENT, KIND
from spawner.backends.docker_view import ending, is_ours
from spawner.errors import ImageUnavailable, StartFailed, StopFailed

#: How long a removal that somebody else began is waited for.
_REMOVAL_S = 60.0
_PAUSE_S = 0.05
_NAME_TRIES = 200


class NetworkGone(StartFailed):
    """Somebody removed the network since it was made."""


class CannotHold(StartFailed):
    """The daemon cannot hold a container's layer to a size."""


def launch(client: APIClient, name: str, spec: Json, instance: str, beside: str = "") -> Json:
    """Create and start a container, or go on with the one that is there; give its inspection.

    ``beside`` is a network that it is on from its first instant, beside the spec's.

    Raises:
        StartFailed: The daemon refused, or it has already ended.
        ImageUnavailable: Its image is not here.
    """
    if found := _create_or_find(client, name, spec):
        if not is_ours(found["Config"]["Labels"] or {}, instance, spec["Labels"][KIND]):
            raise StartFailed(f"There is a container {name} that is not of this tmpenv.")
        state = found["State"]
        if state["Running"]:
            return found
        if state["Status"] != "created":
            raise StartFailed(f"The environment ended before it was ready: {ending(state)}.")
    if beside:
        _join(client, name, beside)
    _start(client, name)
    started: Json = client.inspect_container(name)
    return started


def remove(
    client: APIClient, name: str, instance: str, grace_s: float, kind: str = ENVIRONMENT
) -> Json | None:
    """End and remove a container with its anonymous volumes; return when it is gone.

    Gives what it was, or None if there was none.

    Raises:
        StopFailed: The daemon refused, or it is still there.
    """
    if (found := find(client, name, instance, kind)) is None:
        return None
    if grace_s > 0 and found["State"]["Running"]:
        with suppress(APIError):  # the removal below kills, and says what is the matter
            client.stop(name, timeout=math.ceil(grace_s))
    try:
        client.remove_container(name, v=True, force=True)
    except NotFound:
        return found
    except APIError as error:
        # 409: somebody else's removal is under way, which serves as well as ours.
        if status_of(error) not in {409, *range(500, 600)}:
            raise StopFailed(f"Docker could not remove {name}: {words_of(error)}") from error
        if status_of(error) >= 500:
            raise
    _await_gone(client, name)
    return found


def find(client: APIClient, name: str, instance: str, kind: str = ENVIRONMENT) -> Json | None:
    """Inspect a container of this instance; None if the daemon says that there is none."""
    try:
        found: Json = client.inspect_container(name)
    except NotFound:
        return None
    return found if is_ours(found["Config"]["Labels"] or {}, instance, kind) else None


def _create_or_find(client: APIClient, name: str, spec: Json) -> Json | None:
    """Create a container; give the one that is there instead, if there is one."""
    for _ in range(_NAME_TRIES):
        if _create(client, name, spec):
            return None
        with suppress(NotFound):
            found: Json = client.inspect_container(name)
            return found
        # The name is taken before the container can be seen, and kept until after it is gone.
        time.sleep(_PAUSE_S)
    raise StartFailed(f"Docker holds the name {name} for a container that it does not show.")


def _create(client: APIClient, name: str, spec: Json) -> bool:
    """Create a container; False if there is already one of this name."""
    try:
        client.create_container_from_config(spec, name)  # type: ignore[no-untyped-call]
    except NotFound as error:
        raise ImageUnavailable(spec["Image"], words_of(error)) from error
    except APIError as error:
        if "StorageOpt" in spec["HostConfig"] and is_refusal(words_of(error)):
            raise CannotHold(f"Docker refused: {words_of(error)}") from error
        match status_of(error):
            case 409:
                return False
            case status if status < 500:
                raise StartFailed(f"Docker refused: {words_of(error)}") from error
        raise
    return True


def _join(client: APIClient, name: str, network: str) -> None:
    """Put a container that does not run yet on a further network; again does no harm."""
    try:
        client.connect_container_to_network(name, network)
    except APIError as error:
        if "already exists in network" in words_of(error):
            return
        if status_of(error) < 500:
            raise StartFailed(f"Docker refused: {words_of(error)}") from error
        raise


def _start(client: APIClient, name: str) -> None:
    try:
        client.start(name)
    except APIError as error:
        words = words_of(error)
        if status_of(error) == 404 and "network" in words:
            raise NetworkGone(f"Docker refused: {words}") from error
        if status_of(error) < 500:
            raise StartFailed(f"Docker refused: {words}") from error
        # Docker answers 500 to much that is the container's own fault, and then says so there.
        if reason := client.inspect_container(name)["State"].get("Error"):
            raise StartFailed(f"Docker could not start it: {one_line(reason)}") from error
        raise


def _await_gone(client: APIClient, name: str) -> None:
    deadline = time.monotonic() + _REMOVAL_S
    while True:
        try:
            client.inspect_container(name)
        except NotFound:
            return
        if time.monotonic() > deadline:
            raise StopFailed(f"Docker still has {name}, {_REMOVAL_S:.0f} s after its removal.")
        time.sleep(_PAUSE_S)
