"""Start an environment's companions before it, and remove them after it.

The network comes first, then the companions, then the environment; the end goes the other
way. Whatever is cut short leaves things with the environment's labels, which
:meth:`Companions.remove` finds, whoever started them.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from docker import APIClient
from docker.errors import APIError, NotFound

from spawner.backends.base import Order
from spawner.backends.docker_client import DockerLane, Json
from spawner.backends.docker_companions_spec import (
    COMPANION,
    companion_name,
    companion_spec,
    private_name,
    private_spec,
    subnets,
)
from spawner.backends.docker_errors import status_of, words_of
from spawner.backends.docker_firewall import Firewall
from spawner.backends.docker_images import Images
from spawner.backends.docker_network import bridge_of
from spawner.backends.docker_readiness import CompanionReadiness
from spawner.backends.docker_run import launch, remove
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import ID, INSTANCE, KIND, PRIVATE, is_root
from spawner.backends.docker_view import is_ours
from spawner.errors import StartFailed
from spawner.services import Companion

log = logging.getLogger(__name__)

#: Docker gives up a container's place on a network a moment after the container.
_PATIENCE_S = 3.0
_PAUSE_S = 0.05


class Companions:
    """The companions of one instance's environments.

    Its state is the networks that Docker could not remove: it loses count of who is on
    one, and then keeps it until it is restarted.
    """

    def __init__(
        self,
        instance: str,
        settings: DockerSettings,
        *,
        images: Images,
        firewall: Firewall,
        starts: DockerLane,
        stops: DockerLane,
    ) -> None:
        self._instance = instance
        self._settings = settings
        self._images = images
        self._firewall = firewall
        self._starts = starts
        self._stops = stops
        self._readiness = CompanionReadiness(settings)
        self._is_walled = False
        self.stuck: set[str] = set()

    async def start(self, order: Order, companions: Sequence[Companion]) -> None:
        """Return when all companions of an environment are ready; the environment is not there yet.

        Raises:
            StartFailed: One cannot be had; the text says which, and what it printed last.
            ImageUnavailable: Its image went away.
            BackendUnavailable: No answer came.
        """
        network = await self._starts.run(_ensure, order, self._instance, self._settings)
        if self._firewall.is_local or not self._is_walled:
            await self._firewall.apply(bridge_of(network, PRIVATE))
            self._is_walled = True
        names = [await self._launch(order, companion) for companion in companions]
        for companion, name in zip(companions, names, strict=True):
            await self._readiness.wait(order, companion, name)

    async def remove(self, environment_id: str) -> None:
        """Remove all companions of an environment, with their volumes and their network.

        Raises:
            StopFailed: The daemon refused.
            BackendUnavailable: No answer came.
        """
        is_gone = await self._stops.run(_remove, environment_id, self._instance)
        if not is_gone and environment_id not in self.stuck:
            self.stuck.add(environment_id)
            log.warning(
                "Docker keeps an empty network until it is restarted",
                extra={
                    "event": "network.stuck",
                    "network": private_name(self._instance, environment_id),
                },
            )

    def give_up(self, environment_id: str) -> None:
        """Let a start that waits for companions fail: its environment is to end."""
        self._readiness.give_up(environment_id)

    def settled(self, environment_id: str) -> None:
        """Forget that it was given up: no start of it is under way."""
        self._readiness.settled(environment_id)

    def close(self) -> None:
        """Give back threads and connections."""
        self._readiness.close()

    async def _launch(self, order: Order, companion: Companion) -> str:
        image = await self._images.look(companion.image)
        may_be_root = companion.recipe.allow_root
        if is_root(companion.recipe.user or image.user) and not may_be_root:
            raise _runs_as_root(companion)
        name = companion_name(self._instance, order.id, companion.name)
        spec = companion_spec(
            order,
            companion,
            instance=self._instance,
            created=datetime.now(UTC),
            settings=self._settings,
        )
        try:
            started = await self._starts.run(launch, name, spec, self._instance)
        except StartFailed as error:
            raise StartFailed(f'The service "{companion.name}" does not start: {error}') from error
        if is_root(started["Config"].get("User") or "") and not may_be_root:
            # The tag was moved to another image since it was looked at.
            self._images.forget(companion.image)
            await self._stops.run(remove, name, self._instance, 0, COMPANION)
            raise _runs_as_root(companion)
        return name


def _runs_as_root(companion: Companion) -> StartFailed:
    return StartFailed(
        f'The image {companion.image} runs as root: set user = "1000:1000" or '
        f'allow_root = true in the service "{companion.name}".'
    )


def _ensure(client: APIClient, order: Order, instance: str, settings: DockerSettings) -> Json:
    """Give the network of an environment, making it if it is not there."""
    name = private_name(instance, order.id)
    with suppress(NotFound):
        found: Json = client.inspect_network(name)
        if not is_ours(found["Labels"] or {}, instance, PRIVATE):
            raise StartFailed(f"Docker has a network {name} that is not of this tmpenv.")
        return found
    for subnet in subnets(settings.companions_range, order.id):
        try:
            client.create_network(**private_spec(order, instance, datetime.now(UTC), subnet))
        except APIError as error:
            if "overlap" in words_of(error).lower():
                continue
            if status_of(error) >= 500:
                raise
            raise StartFailed(f"Docker refused a network: {words_of(error)}") from error
        made: Json = client.inspect_network(name)
        return made
    raise StartFailed(
        f"No addresses are left in {settings.companions_range} for another network of companions: "
        "set docker.companions_range to a larger one."
    )


def _remove(client: APIClient, environment_id: str, instance: str) -> bool:
    """Remove what there is; say whether the network is gone as well."""
    labels = [f"{INSTANCE}={instance}", f"{KIND}={COMPANION}", f"{ID}={environment_id}"]
    for found in client.containers(all=True, filters={"label": labels}):
        remove(client, found["Names"][0].removeprefix("/"), instance, 0, COMPANION)
    name = private_name(instance, environment_id)
    try:
        network = client.inspect_network(name)
    except NotFound:
        return True
    if not is_ours(network["Labels"] or {}, instance, PRIVATE):
        return True
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            client.remove_network(name)
        except NotFound:
            return True
        except APIError as error:
            if status_of(error) >= 500:
                raise
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE_S)
        else:
            return True
