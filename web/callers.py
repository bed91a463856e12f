"""Who launches, and what they may: the client's address or the key that it shows.

The one rule: an address is believed only from those in ``trusted_proxies``. Our
edge hands on what they say with the address of its own peer behind it, so the
client is the last in that line who is not a trusted proxy; whatever stands
before, anybody may have written.

An IPv6 network of 64 bits is one caller, as it is one household's. An IPv4 address
that is written as an IPv6 one (``::ffff:192.0.2.1``) is the IPv4 address.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Handler

from spawner.errors import Banned
from spawner.limits import Allowance
from web.auth import holder_of
from web.config import LimitsSettings
from web.context import SERVICE, SETTINGS, mount_of

log = logging.getLogger(__name__)

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_HOUSEHOLD_BITS = 64
#: What must be answered whoever asks: whether we live, and how the refusal looks.
_OPEN_TO_ALL = ("healthz", "readyz", "static/")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request counts for."""

    kind: Literal["address", "key"]
    #: What tells callers of one kind apart.
    name: str
    #: Where it comes from; None for a key, and for who has no address.
    ip: Ip | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def caller_of(request: web.Request) -> Caller:
    """Say who calls: the key that is shown, else the address."""
    holder = holder_of(request)
    if holder is not None:
        return Caller("key", holder.name)
    ip = client_ip(
        request.headers.get("X-Forwarded-For", ""),
        request.app[SETTINGS].proxy.trusted_proxies,
    )
    return Caller("address", _name(ip), ip)


def allowance_of(request: web.Request) -> Allowance:
    """Say how much the caller of a launch may take."""
    limits = request.app[SETTINGS].limits
    caller = caller_of(request)
    if _first_with(caller.ip, limits.allow) is not None:
        return Allowance(total=limits.total)
    is_key = caller.kind == "key"
    return Allowance(
        caller=request.app[SERVICE].caller(str(caller)),
        launches_per_hour=limits.key_launches_per_hour if is_key else limits.launches_per_hour,
        environments=limits.key_environments if is_key else limits.environments,
        total=limits.total,
    )


@web.middleware
async def refuse_banned(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse whoever the operator has banned; their environments go on.

    Raises:
        Banned: The caller is.
    """
    limits = request.app[SETTINGS].limits
    path = request.path.removeprefix(mount_of(request)).removeprefix("/")
    if limits.ban and not path.startswith(_OPEN_TO_ALL):
        banned = ban_of(caller_of(request).ip, limits)
        if banned is not None:
            log.info(
                "A request came from a banned network",
                extra={"event": "request.banned", "network": str(banned)},
            )
            raise Banned(str(banned))
    return await handler(request)


def ban_of(ip: Ip | None, limits: LimitsSettings) -> Network | None:
    """Name the network that is banned with an address in it, None if it may come in."""
    return None if _first_with(ip, limits.allow) else _first_with(ip, limits.ban)


def client_ip(forwarded: str, trusted: Sequence[Network]) -> Ip | None:
    """Give the client's address from ``X-Forwarded-For``, None if even our peer has none.

    Where all are trusted proxies, it is the first of them. What is no address
    was said by the one behind it, which counts instead.
    """
    client: Ip | None = None
    for said in reversed(forwarded.split(",")):
        ip = _read(said.strip())
        if ip is None:
            break
        client = ip
        if _first_with(ip, trusted) is None:
            break
    return client


def _first_with(ip: Ip | None, networks: Iterable[Network]) -> Network | None:
    return None if ip is None else next((one for one in networks if ip in one), None)


def _read(said: str) -> Ip | None:
    """Read an address as proxies write it, some with a port."""
    if said.startswith("["):
        said = said[1:].partition("]")[0]
    elif said.count(":") == 1:
        said = said.partition(":")[0]
    try:
        ip = ip_address(said.partition("%")[0])
    except ValueError:
        return None
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


def _name(ip: Ip | None) -> str:
    if isinstance(ip, IPv6Address):
        return str(ip_network((int(ip), _HOUSEHOLD_BITS), strict=False))
    return str(ip or "unknown")
