"""Lead by prefix: routes that are put and taken away while requests go on.

What configurable-http-proxy does, on this data path. A route leads to a target
under its prefix; the longest prefix wins (:mod:`proxy.prefixes`). Paths are
compared decoded and forwarded as they came.

A route that is replaced or taken away leads nobody any more, and idle connections
of its target are closed. Requests that are open go on to their end. So do
WebSockets of a replaced route; those of one that is taken away are closed with 1001.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

from proxy.activity import ActivityLog
from proxy.errors import Answer, EdgeError
from proxy.hosts import host_name
from proxy.locations import Location
from proxy.prefixes import Prefixes, decoded, depth_of, without_segments
from proxy.request import Request
from proxy.response_head import plain_rules
from proxy.router import Found
from proxy.settings import ProxySettings
from proxy.target import Destination, read_origin
from proxy.tls import context_for_targets
from proxy.tunnel import GOING_AWAY
from proxy.upstream import Target

HEALTH = b"/_chp_healthz"
_HEALTHY = Answer(200, b'{"status": "OK"}')
_NOT_FOUND = EdgeError(404, "no_route", "No route leads there.")
_REMOVED = EdgeError(503, "no_route", "The route was taken away.")
_LEGIBLE = "/@~!$&'()*+,;=:"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixOptions:
    """What configurable-http-proxy's options of the same names mean."""

    include_prefix: bool = True  # else the prefix is taken off the path
    prepend_path: bool = True  # else the target's own path says nothing
    host_routing: bool = False  # the host is the first segment of every path
    insecure: bool = False  # certificates of https targets are not checked


@dataclass(slots=True)
class PrefixRoute:
    """A prefix, and where it leads."""

    prefix: str  # decoded, as it was put
    location: Location
    depth: int  # segments of the path, without the host
    path: bytes  # the same without outer slashes
    is_plain: bool  # paths are forwarded as they come
    target: Target | None = None  # from the first request on


def key_of(prefix: str, *, is_host_first: bool) -> bytes:
    """Return what is the same for all spellings of a decoded prefix."""
    key = prefix.strip("/").encode("utf-8", "surrogatepass")
    if not is_host_first:
        return key
    host, slash, path = key.partition(b"/")
    return host_name(host) + slash + path


class PrefixRouter:
    """The routes.

    The mutable state is the routes, and the targets of former routes until
    nothing is open to them.
    """

    def __init__(
        self,
        settings: ProxySettings,
        options: PrefixOptions | None = None,
    ) -> None:
        self.answers_origins = bool(settings.cors_origins)
        self._settings = settings
        self._options = options or PrefixOptions()
        self._rules = plain_rules(answers_origins=self.answers_origins)
        self._tls = context_for_targets(is_verified=not self._options.insecure)
        self._routes: Prefixes[PrefixRoute] = Prefixes()
        self._used: dict[int, Target] = {}
        self._former: set[Target] = set()
        self._log = ActivityLog()

    # ---- what whoever keeps the routes calls

    def put(self, prefix: str, location: Location) -> None:
        """Lead ``prefix``, decoded, to ``location`` from now on."""
        key = self._key(prefix)
        path = key.partition(b"/")[2] if self._options.host_routing else key
        if not self._options.prepend_path:
            location = location._replace(base=b"", query=b"")
        route = PrefixRoute(
            "/" + prefix.strip("/"),
            location,
            depth=depth_of(path),
            path=path,
            is_plain=self._options.include_prefix and not location.base and not location.query,
        )
        held = self._routes.get(key)
        if held is not None:
            self._retire(held)
        self._routes.put(key, route)

    def remove(self, prefix: str) -> bool:
        """Take away the route of exactly ``prefix``; say whether there was one."""
        route = self._routes.pop(self._key(prefix))
        if route is None:
            return False
        target = route.target
        self._retire(route)
        self._log.forget(route.prefix)
        if target is not None:
            for tunnel in list(target.tunnels):
                tunnel.end(GOING_AWAY)
        return True

    def take_activity(self) -> dict[str, float]:
        """Return when prefixes were last used, on the edge's clock: those used since last taken."""
        used = {
            entry.environment_id: max(entry.http or 0.0, entry.ws_in or 0.0)
            for entry in self._log.take()
        }
        return {prefix: moment for prefix, moment in used.items() if moment}

    # ---- what the data path calls

    def find(self, request: Request) -> Found | None:
        """Return the target of the longest prefix, or that there is none."""
        if request.target == HEALTH:
            return _HEALTHY
        forwarded, path = read_origin(request.target)
        wanted = decoded(path)
        if self._options.host_routing:
            wanted = host_name(request.headers.host) + b"/" + wanted.lstrip(b"/")
        route = self._routes.find(wanted)
        if route is None:
            return _NOT_FOUND
        if not route.depth:
            rest = path
        elif b"%" in path:
            rest = without_segments(path, route.depth)
        else:
            rest = path[len(route.path) + 1 :]
        if not route.is_plain:
            tail = path if self._options.include_prefix else rest
            forwarded = route.location.target_for(tail, forwarded[len(path) :])
        request.destination = Destination(forwarded, b"", rest)
        return route.target or self._open(route)

    def ask(self, _request: Request, _answer: Callable[[Found], None]) -> None:
        """Never called: the routes are all here."""
        raise AssertionError("a route is there or it is not")

    def why_not(self, _request: Request) -> EdgeError:
        """Return that the route is gone."""
        return _REMOVED

    def refused(self, target: Target) -> None:
        """Leave it at that: whoever put the route looks after the target."""

    def targets(self) -> Iterable[Target]:
        """Return the targets that have been used, and those of former routes."""
        if self._former:
            self._former = {one for one in self._former if one.open or one.connecting}
        return (*self._used.values(), *self._former)

    async def close(self) -> None:
        """Close the pooled connections."""
        for target in self.targets():
            await target.close()

    def _key(self, prefix: str) -> bytes:
        return key_of(prefix, is_host_first=self._options.host_routing)

    def _open(self, route: PrefixRoute) -> Target:
        """Make the target of a route that is used for the first time."""
        location = route.location
        target = Target(self._settings)
        target.host, target.port, target.path = location.host, location.port, location.path
        target.tls = self._tls if location.is_tls else None
        target.read_responses_under(self._rules)
        target.stand_under(b"/" + quote(route.path, safe=_LEGIBLE).encode() if route.path else b"")
        target.is_live = True
        target.clocks = self._log.of(route.prefix)
        route.target = target
        self._used[id(route)] = target
        return target

    def _retire(self, route: PrefixRoute) -> None:
        target = self._used.pop(id(route), None)
        if target is not None:
            target.retire()
            self._former.add(target)
