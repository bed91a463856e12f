"""Hold what every connection of one proxy shares, and find targets in it.

A live environment's target is found with one dictionary hit. Everything else
(the first request, a start, an end) takes the slower way over the route table.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from proxy.activity import ActivityLog
from proxy.client import Client
from proxy.cors import Cors
from proxy.errors import EdgeError, render_head, render_json
from proxy.lookups import Lookups
from proxy.request import Request
from proxy.request_head import HeaderReader, Peer
from proxy.routes import Resolver, Route, RouteTable, Standing
from proxy.settings import ProxySettings
from proxy.tunnel import GOING_AWAY, Tunnel
from proxy.upstream import Target

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

    The mutable state is the open ``clients`` and ``tunnels`` and the ``targets``
    that have been used.
    """

    def __init__(
        self,
        *,
        routes: RouteTable,
        resolver: Resolver,
        application: str,
        settings: ProxySettings,
        activity: ActivityLog,
        page: Callable[[EdgeError], bytes],
        page_headers: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        self.routes = routes
        self.resolver = resolver
        self.settings = settings
        self.activity = activity
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
        self.lookups = Lookups(routes, resolver, timeout_s=settings.connect_timeout_s)
        self.application = Target(settings)
        self.application.path = application
        self.application.is_live = True
        self.targets: dict[bytes, Target] = {}
        self.clients: set[Client] = set()
        self.tunnels: set[Tunnel] = set()
        self.is_draining = False
        self.quiet = asyncio.Event()
        routes.observe(self._route_changed)

    @property
    def counts(self) -> Counts:
        """What is open at this moment."""
        targets = [self.application, *self.targets.values()]
        idle = sum(len(target.idle) for target in targets)
        opened = sum(len(target.open) + len(target.connecting) for target in targets)
        return Counts(
            connections=len(self.clients) + len(self.tunnels),
            requests=sum(client.exchange is not None for client in self.clients),
            websockets=len(self.tunnels),
            idle_upstreams=idle,
            busy_upstreams=opened - idle,
        )

    def find(self, environment_id: bytes) -> Target | EdgeError | None:
        """Return the live target, why there is none, or None: the store must be asked."""
        if not environment_id:
            return self.application
        target = self.targets.get(environment_id)
        if target is not None and target.is_live:
            return target
        route = self.routes.get(environment_id.decode())
        if route is None or route.standing is Standing.STARTING:
            return None
        return self.judge(route)

    def judge(self, route: Route | None) -> Target | EdgeError:
        """Return the target that ``route`` leads to, or why it leads nowhere."""
        if route is None:
            return EdgeError(
                503,
                "unavailable",
                "It cannot be found out at the moment where this environment is.",
                retry_after_s=self.settings.unavailable_retry_after_s,
            )
        if route.standing is Standing.LIVE:
            return self._target_of(route)
        if route.standing is Standing.STARTING:
            return self.starting(route.environment_id, route.template)
        return EdgeError(
            410,
            "gone",
            "The environment has ended.",
            route.environment_id,
            route.template,
            route.reason or "unknown",
        )

    def starting(self, environment_id: str = "", template: str = "") -> EdgeError:
        """Return the answer for an environment that is not to be reached yet."""
        return EdgeError(
            503,
            "starting",
            "The environment is starting.",
            environment_id,
            template,
            retry_after_s=self.settings.starting_retry_after_s,
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
        for target in (self.application, *self.targets.values()):
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

    async def close(self) -> None:
        """Close what is not a client's: questions and pooled connections."""
        await self.lookups.close()
        for target in (self.application, *self.targets.values()):
            await target.close()
        self.targets.clear()

    def _target_of(self, route: Route) -> Target:
        key = route.environment_id.encode()
        target = self.targets.get(key)
        if target is None:
            target = self.targets[key] = Target(self.settings, environment_id=key)
            target.clocks = self.activity.of(route.environment_id)
        if not target.is_live:
            target.lead_to(route)
        return target

    def _route_changed(self, route: Route) -> None:
        key = route.environment_id.encode()
        target = self.targets.get(key)
        if target is None:
            return
        generation = target.generation
        if route.standing is Standing.LIVE:
            target.lead_to(route)
        else:
            target.retire()
        if route.standing in (Standing.DRAINING, Standing.GONE):
            for tunnel in list(target.tunnels):
                tunnel.end(GOING_AWAY)
        if route.standing is Standing.GONE:
            target.cut()
            del self.targets[key]
        if target.generation != generation:
            for exchange in list(target.connecting):
                exchange.reconnect()
