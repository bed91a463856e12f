"""Find where a repository is served, hop by hop, each judged before it is asked.

Git itself follows no redirect: the address at which it is sent on is looked for here,
with the first request that git would make (``info/refs``, gitprotocol-http), and what
that request is answered tells "not there" from "no answer".
"""

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from spawner.builder.credentials import Login
from spawner.builder.hosts import Hosts, Place
from spawner.errors import BadSource, SourceUnavailable

_ASKED = "/info/refs?service=git-upload-pack"
_MOST_HOPS = 5
_ANSWER_S = 15.0
_SPOKEN = "application/x-git-upload-pack-advertisement"
#: What a host answers of what is not there, or not for whoever asks.
_DENIED = frozenset({401, 403, 404, 410, 451})
_MOVED = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a repository is served."""

    url: str
    place: Place
    login: Login | None


class Remotes:
    """Finds them."""

    def __init__(
        self,
        hosts: Hosts,
        login: Callable[[str], Login | None],
        *,
        trust: ssl.SSLContext,
        proxy: str = "",
    ) -> None:
        self._hosts = hosts
        self._login = login
        self._trust = trust
        self._proxy = proxy

    async def find(self, url: str) -> Remote:
        """Give where the repository at ``url`` is served.

        Raises:
            BadSource: It is not there, not for us, or leads where nobody is asked.
            SourceUnavailable: No answer came.
        """
        for _ in range(_MOST_HOPS):
            remote = Remote(url, await self._hosts.judge(url), self._login(url))
            moved = await self._ask(remote)
            if not moved:
                return remote
            url = moved
        raise BadSource("The repository's host sends on and on; give its present address.")

    async def _ask(self, remote: Remote) -> str:
        """Ask one place; give where it sends on, empty if the repository is there."""
        host = urlsplit(remote.url).hostname
        headers = {"Git-Protocol": "version=2", "User-Agent": "git/tmpenv"}
        if remote.login is not None:
            headers["Authorization"] = remote.login.header
        connector = aiohttp.TCPConnector(resolver=_Pinned(remote.place), ssl=self._trust)
        timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
                session.get(
                    remote.url + _ASKED,
                    headers=headers,
                    allow_redirects=False,
                    proxy=self._proxy if remote.place.address is None else None,
                ) as response,
            ):
                return _moved(remote.url, response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = "it gives no answer" if isinstance(error, TimeoutError) else _reason(error)
            raise SourceUnavailable(f"{host} cannot be asked at the moment: {reason}.") from None


def _moved(url: str, response: aiohttp.ClientResponse) -> str:
    if response.status in _MOVED:
        target = urljoin(url + _ASKED, response.headers.get("Location", ""))
        base, asked, _ = target.partition("/info/refs")
        if not asked or urlsplit(base).scheme not in ("https", "http") or "@" in base:
            raise BadSource("The repository's host sends on to what is no repository.")
        return base
    if response.status in _DENIED:
        raise BadSource(
            "There is no such repository, or it is private. The operator can set credentials "
            "for it ([build.credentials])."
        )
    if response.status != 200:
        raise SourceUnavailable(
            f"{urlsplit(url).hostname} answers {response.status} at the moment; try again later."
        )
    if response.content_type != _SPOKEN:
        raise BadSource("There is a page at this address and no repository of git.")
    return ""


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "its certificate is not trusted (build.ca_bundle)"
    return "it does not take the connection"


class _Pinned(AbstractResolver):
    """Leads to the address that was judged, whatever the name."""

    def __init__(self, place: Place) -> None:
        self._place = place

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self._place.address
        if address is None:  # a proxy of the operator's is asked, which resolves by itself
            loop = aiohttp.ThreadedResolver()
            return await loop.resolve(host, port, family)
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=family,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Hold nothing."""


def trusted(bundle: Path | None) -> ssl.SSLContext:
    """Believe the system's authorities, and those of a bundle."""
    context = ssl.create_default_context()
    if bundle is not None:
        context.load_verify_locations(bundle)
    return context
