"""What an environment may reach: the entries of a template's ``egress`` list, pure.

An entry is a name (``pypi.example.org``), the names below one (``*.example.org``), an
address or a network (``192.0.2.7``, ``10.0.0.0/8``), each with a port of its own
(``example.org:8443``, ``[2001:db8::7]:443``) or with those of the web. A name leads to
public addresses alone: what is private must be listed as an address, or else whoever
holds the name could point it at what lies behind the wall.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
#: Where an entry names no port.
WEB_PORTS = frozenset({80, 443})
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
#: The last label is never a number: that would be an address, or one misspelt.
_NAME = re.compile(rf"(?:\*\.)?(?:{_LABEL}\.)*(?![0-9]+\Z){_LABEL}")
_WITH_PORT = re.compile(r"(?P<host>\[[^\]]*\](?:/\d+)?|[^:\[\]]*):(?P<port>\d{1,5})")
#: Addresses that carry another, which a gateway somewhere unpacks.
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that may be reached: a name, or a network."""

    name: str
    network: Network | None
    ports: frozenset[int]

    def names(self, host: str) -> bool:
        """Say whether a name, in lower case, is meant."""
        if self.name.startswith("*."):
            return host.endswith(self.name[1:]) and len(host) >= len(self.name)
        return bool(self.name) and host == self.name

    def holds(self, address: Address) -> bool:
        """Say whether an address is listed as such."""
        return (
            self.network is not None
            and self.network.version == address.version
            and address in self.network
        )


def parse(text: str) -> Entry:
    """Read an entry.

    Raises:
        ValueError: It is none; the text says how to write one.
    """
    host, ports = text.strip().lower(), WEB_PORTS
    if found := _WITH_PORT.fullmatch(host):
        host, port = found["host"], int(found["port"])
        if not 0 < port < 1 << 16:
            raise ValueError(f'"{text}" has no port between 1 and 65535')
        ports = frozenset({port})
    try:
        return Entry("", ip_network(host.replace("[", "").replace("]", "")), ports)
    except ValueError as error:
        if "host bits" in str(error):
            raise ValueError(f'"{text}" is no network: {error}') from None
    host = host.removesuffix(".")
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise ValueError(
            f'"{text}" is no host: write a name like example.org, *.example.org or '
            "example.org:8443, an address, or a network like 10.0.0.0/8"
        )
    return Entry(host, None, ports)


class Reach:
    """What one environment may reach."""

    def __init__(self, entries: Iterable[str], denied: Iterable[Network] = ()) -> None:
        """Read the entries; no name leads into a network that is denied."""
        self._entries = [parse(text) for text in entries]
        self._denied = tuple(denied)

    def may_ask(self, host: str, port: int) -> bool:
        """Say whether a host may be asked for, by its name or its address."""
        name = host.lower().removesuffix(".")
        address = _address(name)
        if not address and not _NAME.fullmatch(name):
            return False
        return any(
            port in entry.ports and (entry.holds(address) if address else entry.names(name))
            for entry in self._entries
        )

    def may_reach(self, address: Address, port: int) -> bool:
        """Say whether an address may be connected to, to which an allowed host led."""
        return self.lists(address, port) or (
            is_public(address)
            and not any(
                network.version == address.version and address in network
                for network in self._denied
            )
        )

    def lists(self, address: Address, port: int) -> bool:
        """Say whether an address is listed as such."""
        return any(port in entry.ports and entry.holds(address) for entry in self._entries)


def is_public(address: Address) -> bool:
    """Say whether an address is one host's on the Internet, and carries no other."""
    if isinstance(address, IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or address in _NAT64
    ):
        return False
    return address.is_global and not address.is_multicast


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
