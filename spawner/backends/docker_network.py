"""See that the networks of an instance exist, exactly once."""

import time

from docker import APIClient
from docker.errors import APIError, NotFound

from spawner.backends.docker_client import DockerLane, Json
from spawner.backends.docker_errors import status_of, words_of
from spawner.backends.docker_spec import INSTANCE, network_name, network_spec
from spawner.backends.threads import InFlight
from spawner.errors import BackendUnavailable

_TRIES = 40
_PAUSE_S = 0.1


class Networks:
    """The networks of one instance, each made when it is first needed."""

    def __init__(self, instance: str, lane: DockerLane) -> None:
        self._instance = instance
        self._lane = lane
        self._here: set[str] = set()
        self._making = InFlight[None]()

    async def ensure(self, egress: str, *, again: bool = False) -> None:
        """Return when the network for this egress is there; ``again`` asks even if it was.

        Raises:
            BackendUnavailable: It could not be made; the text has Docker's reason.
        """
        if again:
            self._here.discard(egress)
        if egress not in self._here:
            await self._making.join(egress, lambda: self._make(egress))

    async def close(self) -> None:
        """Stop waiting for networks."""
        await self._making.close()

    async def _make(self, egress: str) -> None:
        await self._lane.run(_ensure, self._instance, egress)
        self._here.add(egress)


def _ensure(client: APIClient, instance: str, egress: str) -> None:
    name = network_name(instance, egress)
    refusal = ""
    for _ in range(_TRIES):
        if found := _find(client, name):
            _check_owner(found, instance)
            return
        try:
            client.create_network(**network_spec(instance, egress))
        except APIError as error:
            if status_of(error) >= 500:
                raise
            # Another process is making it: it has the bridge, but not yet the name.
            refusal = words_of(error)
            time.sleep(_PAUSE_S)
    raise BackendUnavailable(f"Docker does not make the network {name}: {refusal}")


def _find(client: APIClient, name: str) -> Json | None:
    try:
        found: Json = client.inspect_network(name)
    except NotFound:
        return None
    return found if found["Name"] == name else None


def _check_owner(network: Json, instance: str) -> None:
    if (network.get("Labels") or {}).get(INSTANCE) != instance:
        raise BackendUnavailable(
            f"Docker has a network {network['Name']} that is not of this tmpenv: remove it, "
            "or choose another instance name."
        )
