"""Read what Docker says of a container: pure."""

import re
from datetime import datetime

from spawner.backends.base import Observed
from spawner.backends.docker_client import Json
from spawner.backends.docker_spec import (
    AUTH,
    BASE_PATH,
    CREATED,
    DIGEST,
    ENVIRONMENT,
    ID,
    INSTANCE,
    KIND,
    PORT,
)
from spawner.backends.docker_spec import TEMPLATE as TEMPLATE_LABEL
from spawner.model import Address, Auth

_EXITED = re.compile(r"Exited \((-?\d+)\)")


def is_ours(labels: dict[str, str], instance: str, kind: str = ENVIRONMENT) -> bool:
    """Say whether these are the labels of something of a kind, of this instance."""
    return labels.get(INSTANCE) == instance and labels.get(KIND) == kind


def from_inspect(container: Json, reach: str) -> Observed:
    """Read the answer of ``GET /containers/<name>/json``."""
    state = container["State"]
    running = bool(state["Running"]) and not state.get("Dead")
    network = container["NetworkSettings"]
    return _observed(
        container["Config"]["Labels"],
        running=running,
        ip=ip_of(container),
        published=_published(network),
        detail="" if running else ending(state),
        reach=reach,
    )


def from_list(container: Json, reach: str) -> Observed:
    """Read one entry of ``GET /containers/json``."""
    running = container["State"] in {"running", "paused"}
    ports = [port["PublicPort"] for port in container.get("Ports") or () if port.get("PublicPort")]
    return _observed(
        container["Labels"],
        running=running,
        ip=ip_of(container),
        published=ports[0] if ports else 0,
        detail="" if running else _ending_in_list(container),
        reach=reach,
    )


def from_remains(labels: dict[str, str]) -> Observed:
    """Tell of an environment by the labels of what is left of it, which it is not itself."""
    return _observed(
        labels, running=False, ip="", published=0, detail="only companions are left", reach=""
    )


def ending(state: Json) -> str:
    """Say how a container ended, from its inspected state."""
    if state["Status"] == "created":
        return "never started" + (f": {state['Error']}" if state.get("Error") else "")
    detail = f"exit code {state['ExitCode']}"
    return detail + ", out of memory" if state.get("OOMKilled") else detail


def _ending_in_list(container: Json) -> str:
    found = _EXITED.search(container.get("Status", ""))
    return f"exit code {found[1]}" if found else str(container["State"])


def _observed(
    labels: dict[str, str], *, running: bool, ip: str, published: int, detail: str, reach: str
) -> Observed:
    address = None
    if running and reach == "address" and ip:
        address = Address(ip, int(labels[PORT]))
    elif running and reach == "loopback" and published:
        address = Address("127.0.0.1", published)
    return Observed(
        id=labels[ID],
        base_path=labels[BASE_PATH],
        template=labels[TEMPLATE_LABEL],
        digest=labels[DIGEST],
        auth=Auth(labels.get(AUTH, Auth.PROXY)),
        created_at=datetime.fromisoformat(labels[CREATED]),
        is_running=running,
        address=address,
        detail=detail,
    )


def ip_of(container: Json) -> str:
    """Give its address on the network that it was made on; others may be beside that."""
    places = (container.get("NetworkSettings") or {}).get("Networks") or {}
    first = (container.get("HostConfig") or {}).get("NetworkMode")
    place: Json = places.get(first) or next(iter(places.values()), {})
    return str(place.get("IPAddress") or "")


def _published(network: Json) -> int:
    for bindings in (network.get("Ports") or {}).values():
        for binding in bindings or ():
            return int(binding["HostPort"])
    return 0
