"""Judge where a repository lies, by the addresses to which its host leads.

The one rule: what was judged is what is asked. A host is resolved once, here, and git
is bound to the address that was found good; so a name that leads elsewhere a moment
later leads nobody astray.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from spawner.builder.settings import BuildSettings
from spawner.egress import Reach, is_public
from spawner.errors import BadSource, SourceUnavailable

Address = IPv4Address | IPv6Address
#: Gives the addresses of a host; raises OSError as the system's own does.
Resolve = Callable[[str, int], Awaitable[list[str]]]
_RESOLVE_S = 5.0
_PORTS = {"https": 443, "http": 80}
#: What the system says of a name that there is not, in whatever words.
_NO_SUCH_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))


@dataclass(frozen=True, slots=True)
class Place:
    """A host that may be asked, and the address at which it is."""

    host: str
    port: int
    #: None where a proxy of the operator's resolves it.
    address: Address | None
    #: Whether it is asked without TLS.
    is_plain: bool = False

    @property
    def pin(self) -> str:
        """Give what binds curl to the address (CURLOPT_RESOLVE); empty where nothing does."""
        if self.address is None or self.host.strip("[]") == str(self.address):
            return ""
        is_long = isinstance(self.address, IPv6Address)
        return f"{self.host}:{self.port}:{f'[{self.address}]' if is_long else self.address}"


async def resolve_by_system(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Hosts:
    """Says which hosts may be asked."""

    def __init__(self, settings: BuildSettings, resolve: Resolve = resolve_by_system) -> None:
        self._resolve = resolve
        self._networks = settings.allowed_networks
        self._has_proxy = settings.https_proxy is not None
        self._listed = Reach(settings.hosts) if settings.hosts else None

    async def judge(self, url: str) -> Place:
        """Give where the host of ``url`` is.

        Raises:
            BadSource: It may not be asked, or there is no such host.
            SourceUnavailable: It could not be resolved.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or _PORTS.get(parts.scheme, 0)
        if parts.scheme not in _PORTS:
            raise BadSource(f"The repository lies at {parts.scheme}://, and only https is asked.")
        if self._listed is not None and not self._is_listed(host, port):
            raise BadSource(
                f"Repositories on {host} are not built here; the operator lists hosts in [build]."
            )
        place = Place(f"[{host}]" if ":" in host else host, port, None)
        literal = _literal(host)
        if self._has_proxy and literal is None and parts.scheme == "https":
            return place
        found = [literal] if literal else await self._addresses(host, port)
        for address in found:
            if self._may_be_asked(address, parts.scheme):
                return Place(place.host, port, address, is_plain=parts.scheme == "http")
        if parts.scheme == "http" and any(map(is_public, found)):
            raise BadSource(f"{host} is asked by https alone; write https://.")
        raise BadSource(
            f"{host} leads to no public address, and is not asked. The operator of this service "
            "can allow its network (build.allowed_networks)."
        )

    def _is_listed(self, host: str, port: int) -> bool:
        assert self._listed is not None
        return self._listed.may_ask(host, port) or self._listed.may_ask(host, 443)

    def _may_be_asked(self, address: Address, scheme: str) -> bool:
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        judged = mapped or address
        if any(one.version == judged.version and judged in one for one in self._networks):
            return True
        # Whoever is between could write what is built: plain text is for networks of one's own.
        return scheme == "https" and is_public(address)

    async def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            async with asyncio.timeout(_RESOLVE_S):
                found = await self._resolve(host, port)
        except TimeoutError:
            raise SourceUnavailable(f"The address of {host} could not be asked for.") from None
        except OSError as error:
            if isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME:
                raise BadSource(f"There is no host {host}.") from None
            raise SourceUnavailable(f"The address of {host} could not be asked for.") from None
        return [ip_address(one.partition("%")[0]) for one in found]


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
