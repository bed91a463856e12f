"""Keep the routes of ``tmpenv proxy``, for all that share them and for after a restart."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from spawner.store.connection import Connection
from spawner.store.feed import Feed
from spawner.store.records import from_ms

#: Gives each prefix that was put or taken away; None when some may have been missed.
RouteFeed = Feed[str | None]


@dataclass(frozen=True, slots=True)
class KeptRoute:
    """What stands in the store for one prefix."""

    facts: str  # as JSON
    used: datetime  # last, or put


@dataclass(frozen=True, slots=True)
class KeptRoutes:
    """All that stands in the store."""

    origin: str  # another one after the store was emptied; empty if it was not filled since
    routes: Mapping[str, KeptRoute]


class RouteStore:
    """Every step that changes routes, and every question about them.

    Every method raises :class:`~spawner.errors.StoreUnavailable` when no answer came.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def feed(self) -> RouteFeed:
        """Make a feed of the changes."""
        return Feed(self._connection, f"{self._connection.keys.routes}:changed", lambda text: text)

    async def put(self, prefix: str, facts: str) -> datetime:
        """Keep a route, in place of what there was; say when that was."""
        return from_ms(await self._connection.run("route_put", prefix, facts))

    async def remove(self, prefix: str) -> bool:
        """Keep a route no more; False if there was none."""
        return bool(await self._connection.run("route_remove", prefix))

    async def note_used(self, ages: Mapping[str, timedelta]) -> None:
        """Note how long ago prefixes were used."""
        arguments: list[str | int] = []
        for prefix, age in ages.items():
            arguments += (prefix, round(age / timedelta(milliseconds=1)))
        if arguments:
            await self._connection.run("routes_used", *arguments)

    async def get(self, prefix: str) -> KeptRoute | None:
        """Read one route."""
        keys = self._connection.keys
        pipeline = self._connection.client.pipeline(transaction=True)
        async with self._connection.answers(), pipeline as pipe:
            pipe.hget(keys.routes, prefix)
            pipe.hget(f"{keys.routes}:used", prefix)
            facts, used = await pipe.execute()
        return KeptRoute(facts, from_ms(used or 0)) if facts is not None else None

    async def all(self) -> KeptRoutes:
        """Read all routes."""
        keys = self._connection.keys
        pipeline = self._connection.client.pipeline(transaction=True)
        async with self._connection.answers(), pipeline as pipe:
            pipe.get(f"{keys.routes}:origin")
            pipe.hgetall(keys.routes)
            pipe.hgetall(f"{keys.routes}:used")
            origin, facts, used = await pipe.execute()
        routes = {
            prefix: KeptRoute(text, from_ms(used.get(prefix, 0))) for prefix, text in facts.items()
        }
        return KeptRoutes(origin or "", routes)

    async def fill(self, routes: Mapping[str, str]) -> None:
        """Put routes where there are none, and give an emptied store an origin."""
        parts = (part for route in routes.items() for part in route)
        await self._connection.run("routes_fill", secrets.token_hex(8), *parts)
