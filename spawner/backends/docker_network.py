"""See that the networks of an instance exist, exactly once, and are walled off.

Each kind of egress has a network of its own. Whatever a network needs besides (rules
of the firewall, a way out that listens) is there before it is used, and is seen to
again and again: a restart of another service may have flushed it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from docker import APIClient
from docker.errors import APIError, NotFound

from spawner.backends.docker_client import DockerLane, Json
from spawner.backends.docker_errors import status_of, words_of
from spawner.backends.docker_firewall import Firewall
from spawner.backends.docker_rules import Bridge
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_spec import (
    INSTANCE,
    KIND,
    PRIVATE,
    bridge_name,
    network_name,
    network_spec,
)
from spawner.backends.threads import InFlight
from spawner.errors import BackendUnavailable, ServiceError, StartFailed

log = logging.getLogger(__name__)

_TRIES = 40
_PAUSE_S = 0.1
#: Between two looks at what a network needs; the longer where each takes a container.
_SWEEP_S = 15.0
_COSTLY_SWEEP_S = 300.0
#: Has the way out listen at an address and port of this machine; again does no harm.
OpenWayOut = Callable[[str, int], Awaitable[None]]


async def no_way_out(_host: str, _port: int) -> None:
    """Stand in for a way out where nobody serves one."""
    raise OSError("nothing here serves it")


class Networks:
    """The networks of one instance, each made when it is first needed."""

    def __init__(
        self,
        instance: str,
        settings: DockerSettings,
        lane: DockerLane,
        *,
        open_way_out: OpenWayOut = no_way_out,
    ) -> None:
        self._instance = instance
        self._lane = lane
        self._port = settings.egress_port
        self._walls_default = settings.firewall_default
        self._open_way_out = open_way_out
        self._here: dict[str, Bridge] = {}
        self._making = InFlight[None]()
        self.firewall = Firewall(instance, settings, lane)

    async def ensure(self, kind: str, *, again: bool = False) -> str:
        """Return the gateway of a kind's network when it is there and has all that it needs.

        ``again`` asks even if it was.

        Raises:
            StartFailed: It may not be used as it is; the text says why.
            BackendUnavailable: It could not be made; the text has Docker's reason.
        """
        if again:
            self._here.pop(kind, None)
        while (bridge := self._here.get(kind)) is None:
            await self._making.join(kind, lambda: self._make(kind))
        return bridge.gateway

    async def keep(self) -> None:
        """See to what the networks need, until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_S if self.firewall.is_local else _COSTLY_SWEEP_S)
            await self.sweep()

    async def sweep(self) -> None:
        """See once to what the networks need, by whomever they were made.

        Environments outlive the tmpenv that started them, and what lets them out must
        be served by one that lives. What fails is tried again by the next start.
        """
        self._here.pop(PRIVATE, None)  # any one stands for all, and may be gone by now
        with suppress(BackendUnavailable):
            self._here |= await self._lane.run(_look, self._instance)
            if self._walls_default:
                await self.firewall.apply(await self._lane.run(_default_bridge))
        for kind, bridge in list(self._here.items()):
            try:
                await self._see_to(bridge)
            except ServiceError as error:
                self._here.pop(kind, None)
                log.warning(
                    "A network lacks what it needs",
                    extra={"event": "network.lacking", "kind": kind, "reason": str(error)},
                )

    async def close(self) -> None:
        """Stop waiting for networks."""
        await self._making.close()

    async def _make(self, kind: str) -> None:
        found = await self._lane.run(_ensure, self._instance, kind)
        bridge = bridge_of(found, kind)
        await self._see_to(bridge)
        self._here[kind] = bridge

    async def _see_to(self, bridge: Bridge) -> None:
        await self.firewall.apply(bridge)
        if bridge.kind != "listed":
            return
        try:
            await self._open_way_out(bridge.gateway, self._port)
        except OSError as error:
            raise StartFailed(
                f"The way to the listed hosts cannot be opened at {bridge.gateway}:{self._port} "
                f"({error.strerror or error}): tmpenv must run in the network of the machine on "
                "which Docker runs, and the port must be free (docker.egress_port)."
            ) from error


def _ensure(client: APIClient, instance: str, kind: str) -> Json:
    name = network_name(instance, kind)
    refusal = ""
    for _ in range(_TRIES):
        if found := _find(client, name):
            _check_owner(found, instance)
            return found
        try:
            client.create_network(**network_spec(instance, kind))
        except APIError as error:
            if status_of(error) >= 500:
                raise
            # Another process is making it: it has the bridge, but not yet the name.
            refusal = words_of(error)
            time.sleep(_PAUSE_S)
    raise BackendUnavailable(f"Docker does not make the network {name}: {refusal}")


def _look(client: APIClient, instance: str) -> dict[str, Bridge]:
    """Give the networks that there are, by kind."""
    label = f"{INSTANCE}={instance}"
    found = {one["Name"]: one for one in client.networks(filters={"label": label})}
    names = {kind: network_name(instance, kind) for kind in ("open", "none", "listed")}
    kinds = {name: kind for kind, name in names.items() if name in found}
    # The rules of one are those of all.
    kinds |= {name: PRIVATE for name, one in found.items() if one["Labels"].get(KIND) == PRIVATE}
    return {kind: bridge_of(found[name], kind) for name, kind in kinds.items()}


def _default_bridge(client: APIClient) -> Bridge:
    """Give the bridge of containers that name no network, builds among them."""
    options: Json = client.inspect_network("bridge").get("Options") or {}
    return Bridge(options.get("com.docker.network.bridge.name", "docker0"), "open", "")


def bridge_of(network: Json, kind: str) -> Bridge:
    """Give a network as the firewall sees it."""
    gateways = (one["Gateway"] for one in network["IPAM"]["Config"] or () if "Gateway" in one)
    own = (network.get("Options") or {}).get("com.docker.network.bridge.name")
    return Bridge(own or bridge_name(network["Name"]), kind, next(gateways, ""))


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
