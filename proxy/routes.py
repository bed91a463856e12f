"""Say where an environment answers, from memory.

:class:`RouteTable` is the local copy of what the store knows. It never waits
and never asks: :mod:`proxy.lookups` asks a :class:`Resolver` on a miss and puts
the answer here. Ids that are known to be gone are remembered too, a bounded
number of them, so that a stale tab costs a dictionary hit and not a question.
"""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

REMEMBERED_GONE = 10_000  # ids


class Standing(enum.Enum):
    """What a request for the environment meets."""

    LIVE = "live"
    STARTING = "starting"
    DRAINING = "draining"
    GONE = "gone"


@dataclass(slots=True)
class Route:
    """What is known of one environment's way."""

    environment_id: str
    standing: Standing
    host: str = ""
    port: int = 0
    authorization: bytes = b""
    session: bytes = b""  # what its visitor's browser shows; empty: the address is enough
    template: str = ""
    reason: str = ""
    version: int = 0


class RoutesUnavailable(Exception):
    """The store could not be asked: nothing is known, least of all an absence."""


class Resolver(Protocol):
    """Where the table's owner asks about an id it does not hold."""

    async def look_up(self, environment_id: str) -> Route:
        """Return the route of ``environment_id``; GONE if there is none.

        Raises:
            RoutesUnavailable: The store could not be asked.
        """
        ...

    def refused(self, environment_id: str) -> None:
        """Hear that the environment's address refused a connection. Never waits."""
        ...


class RouteTable:
    """The routes this process knows, newest version wins.

    The mutable state is two dictionaries: the routes that may carry requests,
    and the ids that are gone in the order in which they were last asked for.
    """

    def __init__(self, remembered_gone: int = REMEMBERED_GONE) -> None:
        self._routes: dict[str, Route] = {}
        self._gone: dict[str, Route] = {}
        self._remembered_gone = remembered_gone
        self._observers: list[Callable[[Route], None]] = []

    def get(self, environment_id: str) -> Route | None:
        """Return what is held for ``environment_id``, None if nothing is."""
        route = self._routes.get(environment_id)
        if route is None and (route := self._gone.pop(environment_id, None)) is not None:
            self._gone[environment_id] = route  # last asked for, last forgotten
        return route

    def put(self, route: Route) -> None:
        """Hold ``route`` unless a newer version is held, and tell the observers."""
        held = self._routes.get(route.environment_id) or self._gone.get(route.environment_id)
        if held is not None and held.version > route.version:
            return
        self._gone.pop(route.environment_id, None)
        if route.standing is Standing.GONE:
            self._routes.pop(route.environment_id, None)
            self._remember_gone(route)
        else:
            self._routes[route.environment_id] = route
        self._tell(route)

    def forget(self, environment_id: str) -> None:
        """Hold nothing for ``environment_id``: the next request asks again."""
        self._gone.pop(environment_id, None)
        if self._routes.pop(environment_id, None) is not None:
            self._tell(Route(environment_id, Standing.STARTING))

    def ids(self) -> Iterable[str]:
        """Return the ids that are not gone, as they are at this moment."""
        return tuple(self._routes)

    def observe(self, observer: Callable[[Route], None]) -> None:
        """Call ``observer`` with each route that is put.

        A route that is merely forgotten is told as STARTING: nothing may be
        concluded from it but that its address is no longer to be trusted.
        """
        self._observers.append(observer)

    def __len__(self) -> int:
        return len(self._routes)

    def __repr__(self) -> str:
        return f"<RouteTable routes={len(self._routes)} gone={len(self._gone)}>"

    def _remember_gone(self, route: Route) -> None:
        self._gone[route.environment_id] = route
        if len(self._gone) > self._remembered_gone:
            del self._gone[next(iter(self._gone))]

    def _tell(self, route: Route) -> None:
        for observer in self._observers:
            observer(route)
