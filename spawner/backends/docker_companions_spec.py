"""Say how Docker is to run companions, and the network that they share: pure.

Each environment that asks for services has a network of its own, from which there is no
way out, and on which are its companions and itself, nobody else. A companion is confined
as an environment is. All of it carries the environment's labels, so that what a crash
left of it is found and removed as an environment's.

The networks' addresses are ours to choose: Docker's own pools end after thirty networks.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from ipaddress import IPv4Network

from docker.types import IPAMConfig, IPAMPool

from spawner.backends.base import Order
from spawner.backends.docker_rules import COMPANIONS_FAMILY
from spawner.backends.docker_settings import COMPANIONS_PREFIX, DockerSettings
from spawner.backends.docker_spec import (
    KIND,
    NO_NAMES,
    PRIVATE,
    Json,
    confinement,
    container_name,
    labels_of,
)
from spawner.services import Companion

COMPANION = "companion"
SERVICE = "tmpenv.service"
#: A companion that fails is started again, but one that cannot live is not for ever.
_RESTARTS = 5
#: Each that is taken costs a question.
_MOST_TRIED = 256


def private_name(instance: str, environment_id: str) -> str:
    """Name the network of an environment and its companions; a dot is in no instance's name."""
    return f"{container_name(instance, environment_id)}.private"


def companion_name(instance: str, environment_id: str, service: str) -> str:
    """Name the container of a companion."""
    return f"{container_name(instance, environment_id)}.{service}"


def private_bridge(instance: str, environment_id: str) -> str:
    """Name the host's interface: all of an instance begin alike, for its firewall's sake."""
    family = f"tc-{_digest(instance)}"[:COMPANIONS_FAMILY]
    return f"{family}{_digest(environment_id)[:8]}"


def private_spec(order: Order, instance: str, created: datetime, subnet: IPv4Network) -> Json:
    """Give what the network is created with, in the SDK's words: Docker lets nothing out."""
    return {
        "name": private_name(instance, order.id),
        "check_duplicate": True,
        "driver": "bridge",
        "internal": True,
        "labels": labels_of(order, instance, created) | {KIND: PRIVATE},
        "options": {"com.docker.network.bridge.name": private_bridge(instance, order.id)},
        "ipam": IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))]),
    }


def subnets(within: IPv4Network, environment_id: str) -> Iterator[IPv4Network]:
    """Give the addresses to try, from a place of the environment's own on."""
    count = 1 << (COMPANIONS_PREFIX - within.prefixlen)
    first = int(_digest(environment_id), 16) % count
    for number in range(min(count, _MOST_TRIED)):
        offset = (first + number) % count << (32 - COMPANIONS_PREFIX)
        yield IPv4Network((int(within.network_address) + offset, COMPANIONS_PREFIX))


def companion_spec(
    order: Order,
    companion: Companion,
    *,
    instance: str,
    created: datetime,
    settings: DockerSettings,
) -> Json:
    """Give the body of ``POST /containers/create``."""
    network = private_name(instance, order.id)
    host = confinement(companion.recipe, settings)
    host["NetworkMode"] = network
    host["Dns"] = [NO_NAMES]
    host["RestartPolicy"] = {"Name": "on-failure", "MaximumRetryCount": _RESTARTS}
    spec: Json = {
        "Image": companion.image,
        "Hostname": companion.name,
        "Env": [f"{name}={value}" for name, value in companion.env.items()],
        "Labels": labels_of(order, instance, created) | {KIND: COMPANION, SERVICE: companion.name},
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {network: {"Aliases": [companion.name]}}},
    }
    if companion.recipe.user:
        spec["User"] = companion.recipe.user
    if companion.command is not None:
        spec["Cmd"] = list(companion.command)
    return spec


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
