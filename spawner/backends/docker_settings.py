"""What an operator can set about Docker."""

import sys
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from spawner.units import Size, parse_list


def _usual_reach() -> Literal["address", "loopback"]:
    # Docker Desktop runs containers in a virtual machine: their addresses lead nowhere here.
    return "address" if sys.platform == "linux" else "loopback"


def _holds_a_network(value: IPv4Network) -> IPv4Network:
    if value.prefixlen > COMPANIONS_PREFIX:
        raise ValueError(f"{value} is too small: it must hold a /{COMPANIONS_PREFIX} at least")
    return value


#: Of a network for one environment and its companions: 13 addresses beside the gateway's.
COMPANIONS_PREFIX = 28
Port = Annotated[int, Field(ge=1, le=65535)]
#: Where machines find what nobody else should: link-local addresses, and the metadata
#: services of clouds that have them elsewhere.
_METADATA = tuple(
    ip_network(text)
    for text in (
        *("169.254.0.0/16", "fe80::/10", "fd00:ec2::/32", "fd20:ce::254/128"),
        *("100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"),
    )
)


class DockerSettings(BaseModel):
    """How to reach a Docker daemon, and how hard to work it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field("", description="unix:// or tcp:// address; DOCKER_HOST where empty")
    reach: Literal["address", "loopback"] = Field(
        default_factory=_usual_reach,
        description="By container address, or by a port published on 127.0.0.1",
    )
    start_threads: int = Field(8, ge=1, description="Starts at once")
    stop_threads: int = Field(8, ge=1, description="Stops at once")
    pull_threads: int = Field(2, ge=1, description="Image pulls at once")
    query_threads: int = Field(4, ge=1, description="Questions at once")
    timeout_s: int = Field(60, ge=1, description="Longest wait for an answer of the daemon")
    log_size: Size = Field(10 << 20, ge=1 << 10, description="Log kept of each environment")
    firewall: Literal["auto", "require", "off"] = Field(
        "auto",
        description="Rules of this machine's firewall around environments: auto warns where they "
        "cannot be had, require starts nothing there (docs/egress.md)",
    )
    firewall_default: bool = Field(
        default=False,
        description="Keep Docker's default bridge, on which builds run, to what environments with "
        "open egress reach; it holds for every container there (docs/security.md)",
    )
    firewall_image: str = Field(
        "", description="Image with nft that sets up the firewall where tmpenv itself may not"
    )
    host_ports: Annotated[tuple[Port, ...], BeforeValidator(parse_list)] = Field(
        (), description="Ports of this machine that environments with open egress may reach"
    )
    denied_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...], BeforeValidator(parse_list)
    ] = Field(
        _METADATA,
        description="Networks that environments with open egress do not reach, but for name "
        "servers there; add the private ones",
    )
    companions_range: Annotated[IPv4Network, AfterValidator(_holds_a_network)] = Field(
        # For measurements of networks (RFC 2544): nobody routes it, and Docker's own pools
        # would be used up by thirty networks.
        IPv4Network("198.18.0.0/15"),
        description="Addresses for environments that have services: a /28 for each, 8192 of them; "
        "another where 198.18.0.0/15 is in use (docs/services.md)",
    )
    egress_port: Port = Field(
        3128, description="Port, on the bridge alone, of the way out to the hosts of a list"
    )
