"""Services for tests, whose companions are tiny servers."""

import asyncio
import hashlib
import shutil
import subprocess
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from spawner.backends.base import Order
from spawner.backends.docker import DockerBackend
from spawner.services import ServiceRecipe
from tests.components import TINY
from tests.contract.rigs import DockerRig

PORT = 7411
_TINY = {"image": TINY, "port": PORT, "memory": "32M", "pids": 32}
_LISTENS = {"TMPENV_PORT": "{port}", "SECRET": "{password}", "DATABASE": "{database}"}
SERVICES = {
    "db": ServiceRecipe.model_validate(
        _TINY
        | {
            "versions": ["1", "2"],
            "params": {"database": "course"},
            "env": _LISTENS | {"VERSION": "{version}"},
            "exports": {"DB_URL": "db://me:{password}@{host}:{port}/{database}"},
        }
    ),
    "cache": ServiceRecipe.model_validate(_TINY | {"env": {"TMPENV_PORT": "{port}"}}),
    "asked": ServiceRecipe.model_validate(
        _TINY | {"env": {"TMPENV_PORT": "{port}"}, "ready": ["test", "-e", "/tmp/ready"]}
    ),
    "late": ServiceRecipe.model_validate(
        _TINY
        | {
            "command": "echo waiting as $SECRET; exec sleep 600",
            "env": {"SECRET": "{password}"},
            "ready_timeout": "1s",
        }
    ),
    "ended": ServiceRecipe.model_validate(_TINY | {"env": {"TINY_EXIT": "3"}}),
    "root": ServiceRecipe.model_validate(_TINY | {"user": "0"}),
}


class CompanionRig(DockerRig):
    """A daemon for environments that have companions."""

    def _make(self, instance: str) -> DockerBackend:
        return DockerBackend(self.instance(instance), self.settings, services=SERVICES)

    def order_with(self, *services: str, **changes: Any) -> Order:
        wanted = [{"name": name} for name in services]
        order = self.order(**({"services": wanted} | changes))
        return replace(order, services_key=f"key of {order.id}")

    def companion(self, order: Order, service: str) -> str:
        return f"{self.container(order)}.{service}"

    async def address(self, order: Order, service: str) -> str:
        name = self.companion(order, service)
        found = await asyncio.to_thread(self.client.inspect_container, name)
        (place,) = found["NetworkSettings"]["Networks"].values()
        return str(place["IPAddress"])

    async def gateway(self, order: Order) -> str:
        """Give this machine's address on the network of an environment and its companions."""
        name = f"{self.container(order)}.private"
        found = await asyncio.to_thread(self.client.inspect_network, name)
        return str(IPv4Network(found["IPAM"]["Config"][0]["Subnet"])[1])

    async def clear(self) -> None:
        await super().clear()
        nft = shutil.which("nft")
        for instance in self._instances if nft else ():
            family = "tc-" + hashlib.sha256(self.instance(instance).encode()).hexdigest()[:4]
            delete = [str(nft), "delete", "table", "inet", family]
            subprocess.run(delete, check=False, capture_output=True)
