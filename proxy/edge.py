"""Hold what every connection of one proxy shares: settings, deadlines, answers."""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from proxy.client import Client
from proxy.cors import Cors
from proxy.errors import EdgeError, render_head, render_json
from proxy.request import Request
from proxy.request_head import HeaderReader, Peer
from proxy.router import Router
from proxy.settings import ProxySettings
from proxy.tunnel import Tunnel

_LONGEST_SWEEP_S = 1.0


@dataclass(frozen=True, slots=True)
class Counts:
    """What is open at this moment."""

    connections: int
    requests: int
    websockets: int
    idle_upstreams: int
    busy_upstreams: int  # lent, or being opened


class Edge:
    """The state that connections share.

    The mutable state is the open ``clients`` and ``tunnels``.
    """

    def __init__(
        self,
        *,
        router: Router,
        settings: ProxySettings,
        page: Callable[[EdgeError], bytes],
        page_headers: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        self.router = router
        self.find = router.find  # asked for each request
        self.settings = settings
        self.page = page
        self._page_lines = b"".join(
            f"\r\n{name}: {value}".encode() for name, value in page_headers.items()
        )
        self.clock = clock
        self.cors = Cors(settings.cors_origins, settings.cors_max_age_s)
        self.reader = HeaderReader(
            cors=self.cors,
            own_cookies_prefix=settings.own_cookies_prefix.encode(),
            max_headers_count=settings.max_headers_count,
        )
        self.clients: set[Client] = set()
        self.tunnels: set[Tunnel] = set()
        self.is_draining = False
        self.quiet = asyncio.Event()

    @property
    def counts(self) -> Counts:
        """What is open at this moment."""
        targets = tuple(self.router.targets())
        idle = sum(len(target.idle) for target in targets)
        opened = sum(len(target.open) + len(target.connecting) for target in targets)
        return Counts(
            connections=len(self.clients) + len(self.tunnels),
            requests=sum(client.exchange is not None for client in self.clients),
            websockets=len(self.tunnels),
            idle_upstreams=idle,
            busy_upstreams=opened - idle,
        )

    def peer(self, address: str) -> Peer:
        """Return who ``address`` is to us."""
        if not self.settings.trusted_proxies:
            return Peer(address.encode(), is_trusted=False)
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return Peer(address.encode(), is_trusted=False)
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        is_trusted = any(ip in network for network in self.settings.trusted_proxies)
        return Peer(str(ip).encode(), is_trusted=is_trusted)

    def answer(self, error: EdgeError, request: Request | None, *, keep: bool) -> bytes:
        """Return the whole answer to ``request``, whose head may not have been readable."""
        is_page = request is not None and request.headers.is_navigation and not request.is_upgrade
        body = self.page(error) if is_page else render_json(error)
        extra = self.cors.lines(None) if request is None else request.headers.cors
        if is_page:
            extra += self._page_lines
        if not keep:
            extra += b"\r\nConnection: close"
        elif request is not None and request.minor == 0:
            extra += b"\r\nConnection: keep-alive"
        head = render_head(error, body, is_page=is_page, extra=extra)
        is_head = request is not None and request.method == b"HEAD"
        return head if is_head else head + body

    def sweep(self) -> None:
        """Act on every deadline that has passed."""
        now = self.clock()
        for client in [one for one in self.clients if one.deadline <= now]:
            client.expire(now)
        before = now - self.settings.upstream_idle_timeout_s
        for target in self.router.targets():
            if target.idle:
                target.close_idle(before)

    def sweep_interval_s(self) -> float:
        """Return how often to sweep, so that no time is overrun by much."""
        settings = self.settings
        times = (
            settings.header_timeout_s,
            settings.body_timeout_s,
            settings.idle_timeout_s,
            settings.response_timeout_s or math.inf,
            settings.linger_timeout_s,
            settings.upstream_idle_timeout_s,
        )
        return min(_LONGEST_SWEEP_S, min(times) / 4)

    def check_quiet(self) -> None:
        """Say so if nothing is open any more."""
        if not self.clients and not self.tunnels:
            self.quiet.set()
