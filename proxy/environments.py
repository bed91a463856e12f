"""Find environments by the id in the path, and the application for the rest.

A live environment's target is found with one dictionary hit. Everything else
(the first request, a start, an end) takes the slower way over the route table.
"""

import time
from collections.abc import Callable, Iterable

from proxy.activity import ActivityLog
from proxy.errors import EdgeError
from proxy.lookups import Lookups
from proxy.request import Request
from proxy.router import Found
from proxy.routes import Resolver, Route, RouteTable, Standing
from proxy.settings import ProxySettings
from proxy.target import TargetReader
from proxy.tunnel import GOING_AWAY
from proxy.upstream import Target


class EnvironmentRouter:
    """Leads to live environments, by what the store says of them.

    The mutable state is the targets that have been used, by id.
    """

    answers_origins = True

    def __init__(
        self,
        *,
        routes: RouteTable,
        resolver: Resolver,
        application: str,
        settings: ProxySettings,
        activity: ActivityLog,
        mount: str = "/",
    ) -> None:
        """Lead to what is found under ``mount``, which begins and ends with a slash."""
        self._settings = settings
        self._reader = TargetReader(mount.encode())
        self._routes = routes
        self._resolver = resolver
        self._activity = activity
        self._lookups = Lookups(routes, resolver, timeout_s=settings.connect_timeout_s)
        self._application = Target(settings)
        self._application.path = application
        self._application.is_live = True
        self._targets: dict[bytes, Target] = {}
        routes.observe(self._route_changed)

    def find(self, request: Request) -> Found | None:
        """Return the live target, why there is none, or None: the store must be asked."""
        request.destination = destination = self._reader.read(request.target)
        environment_id = destination.environment_id
        if not environment_id:
            return self._application
        target = self._targets.get(environment_id)
        if target is not None and target.is_live and target.guard is None:
            return target
        return self._look(request)

    def ask(self, request: Request, answer: Callable[[Found], None]) -> None:
        """Ask the store about an environment that is not known to be live or gone."""

        def hear(route: Route | None) -> None:
            answer(self._judge(route, request))

        self._lookups.ask(request.destination.environment_id.decode(), hear)

    def why_not(self, request: Request) -> EdgeError:
        """Return what a request that came now would be answered."""
        found = self._look(request)
        return found if isinstance(found, EdgeError) else self._starting()

    def refused(self, target: Target) -> None:
        """Have an environment looked at."""
        if target.environment_id:
            self._resolver.refused(target.environment_id.decode())

    def targets(self) -> Iterable[Target]:
        """Return the application and the environments that have been visited."""
        return (self._application, *self._targets.values())

    async def close(self) -> None:
        """Drop the questions in flight and the pooled connections."""
        await self._lookups.close()
        for target in self.targets():
            await target.close()
        self._targets.clear()

    def _look(self, request: Request) -> Found | None:
        """Return what is known of the environment that a request is for."""
        environment_id = request.destination.environment_id
        target = self._targets.get(environment_id)
        if target is not None and target.is_live:
            return self._enter(request, target)
        route = self._routes.get(environment_id.decode())
        if route is None or route.standing is Standing.STARTING:
            return None
        return self._judge(route, request)

    def _judge(self, route: Route | None, request: Request) -> Found:
        """Return the target that ``route`` leads to, or why it leads nowhere."""
        if route is None:
            return EdgeError(
                503,
                "unavailable",
                "It cannot be found out at the moment where this environment is.",
                retry_after_s=self._settings.unavailable_retry_after_s,
            )
        if route.standing is Standing.LIVE:
            return self._enter(request, self._target_of(route))
        if route.standing is Standing.STARTING:
            return self._starting(route.environment_id, route.template)
        return EdgeError(
            410,
            "gone",
            "The environment has ended.",
            route.environment_id,
            route.template,
            route.reason or "unknown",
        )

    def _enter(self, request: Request, target: Target) -> Found:
        """Return what a request meets that leads to a live ``target``."""
        if target.guard is None:
            return target
        path = b"/" if request.is_on_own_host else target.prefix
        return target.guard.judge(request, time.time(), path) or target

    def _prefix_of(self, environment_id: bytes) -> bytes:
        """Return the path under which an environment answers."""
        return self._reader.environments + environment_id

    def _own_host_of(self, _environment_id: bytes) -> bytes:
        """Return the host that is an environment's own; empty where there is none."""
        return b""

    def _starting(self, environment_id: str = "", template: str = "") -> EdgeError:
        return EdgeError(
            503,
            "starting",
            "The environment is starting.",
            environment_id,
            template,
            retry_after_s=self._settings.starting_retry_after_s,
        )

    def _target_of(self, route: Route) -> Target:
        key = route.environment_id.encode()
        target = self._targets.get(key)
        if target is None:
            target = Target(
                self._settings,
                environment_id=key,
                prefix=self._prefix_of(key),
                own_host=self._own_host_of(key),
            )
            self._targets[key] = target
            target.clocks = self._activity.of(route.environment_id)
        if not target.is_live:
            target.lead_to(route)
        return target

    def _route_changed(self, route: Route) -> None:
        key = route.environment_id.encode()
        target = self._targets.get(key)
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
            del self._targets[key]
        if target.generation != generation:
            for exchange in list(target.connecting):
                exchange.reconnect()
