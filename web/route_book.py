"""Keep the book of ``tmpenv proxy``'s routes; the data path leads as it says.

The REST API reads and writes the book. Where there is a store, routes stand there
too: they are found again after a restart, and all proxies on one store have the same.
The one rule: a route is told to the data path before whoever put it has an answer.
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from proxy.channel import Message
from proxy.locations import BadLocation, read_location
from proxy.prefix_router import key_of
from spawner.errors import StoreUnavailable
from spawner.store.proxy_routes import KeptRoute, RouteStore

log = logging.getLogger(__name__)

_PAUSE_S = 1.0


class Leads(Protocol):
    """The data path."""

    async def ask(self, **message: Any) -> None:
        """Return when it has acted on a message."""
        ...


@dataclass(slots=True)
class BookedRoute:
    """One route."""

    prefix: str
    facts: dict[str, Any]  # as they were put, the target among them
    last_activity: datetime


class RouteBook:
    """The routes.

    The mutable state is the routes, which of them were used since that was last
    written, and what is to be read again from the store.
    """

    def __init__(self, *, is_host_first: bool, store: RouteStore | None = None) -> None:
        self.is_host_first = is_host_first
        self._store = store
        self._origin = ""  # of the store, as it was last read
        self._path: Leads | None = None
        self._routes: dict[bytes, BookedRoute] = {}
        self._used: dict[str, datetime] = {}
        self._doubted: asyncio.Queue[str | None] = asyncio.Queue()

    # ---- what the REST API asks

    def get(self, prefix: str) -> BookedRoute | None:
        """Return the route of exactly ``prefix``."""
        return self._routes.get(self._key(prefix))

    def __iter__(self) -> Iterator[BookedRoute]:
        return iter(tuple(self._routes.values()))

    def __len__(self) -> int:
        return len(self._routes)

    async def put(self, prefix: str, facts: dict[str, Any]) -> None:
        """Lead ``prefix`` to the target that is among ``facts``.

        Raises:
            StoreUnavailable: It cannot be kept, so it was not put.
        """
        prefix = "/" + self._key(prefix).decode("utf-8", "surrogatepass")
        moment = datetime.now(UTC)
        if self._store is not None:
            moment = await self._store.put(prefix, json.dumps(facts))
        await self._lead(prefix, facts, moment)

    async def remove(self, prefix: str) -> bool:
        """Take a route away; say whether there was one.

        Raises:
            StoreUnavailable: It may still stand there, so it leads on.
        """
        held = self.get(prefix)
        if held is None:
            return False
        if self._store is not None:
            await self._store.remove(held.prefix)
        await self._forget(prefix)
        return True

    async def refresh(self) -> None:
        """Learn what was used up to now, here and by others."""
        if self._path is not None:
            await self._path.ask(do="tell")
        if self._store is not None:
            with suppress(StoreUnavailable):
                for prefix, kept in (await self._store.all()).routes.items():
                    self._note(prefix, kept.used)

    # ---- what the data path is given, and says

    def lead(self, path: Leads) -> None:
        """Have ``path`` follow from now on; what stands here it knows by :meth:`targets`."""
        self._path = path

    def targets(self) -> tuple[tuple[str, str], ...]:
        """Return each prefix with its target."""
        return tuple((route.prefix, route.facts["target"]) for route in self)

    def hear(self, message: Message) -> None:
        """Hear how many seconds ago prefixes were used."""
        now = datetime.now(UTC)
        for prefix, age_s in message["used"].items():
            moment = now - timedelta(seconds=age_s)
            if self._note(prefix, moment):
                self._used[prefix] = moment

    # ---- the store

    async def load(self) -> None:
        """Take over what the store holds; what an emptied one lost is put back there.

        Raises:
            StoreUnavailable: It gives no answer; what was known is known on.
        """
        if self._store is None:
            return
        kept = await self._store.all()
        was_emptied = self._origin not in ("", kept.origin)
        if was_emptied or not kept.origin:
            # What is missing there was not taken away by anybody.
            await self._store.fill({route.prefix: json.dumps(route.facts) for route in self})
            kept = await self._store.all()
        self._origin = kept.origin
        for route in self:
            if route.prefix not in kept.routes:
                await self._forget(route.prefix)
        for prefix, one in kept.routes.items():
            await self._take(prefix, one)

    async def run(self) -> None:
        """Follow the store, and write there what was used, until cancelled."""
        if self._store is None:
            return
        feed = self._store.feed()
        feed.listen(self._doubted.put_nowait)
        async with asyncio.TaskGroup() as group:
            group.create_task(feed.run())
            group.create_task(self._follow(self._store))
            group.create_task(self._write(self._store))

    async def _follow(self, store: RouteStore) -> None:
        while True:
            prefix = await self._doubted.get()
            try:
                if prefix is None:
                    await self.load()
                elif (kept := await store.get(prefix)) is None:
                    await self._forget(prefix)
                else:
                    await self._take(prefix, kept)
            except StoreUnavailable:
                self._doubted.put_nowait(None)
                await asyncio.sleep(_PAUSE_S)

    async def _write(self, store: RouteStore) -> None:
        while True:
            await asyncio.sleep(_PAUSE_S)
            used, self._used = self._used, {}
            now = datetime.now(UTC)
            try:
                await store.note_used({prefix: now - moment for prefix, moment in used.items()})
            except StoreUnavailable:
                self._used = {**used, **self._used}

    async def _take(self, prefix: str, kept: KeptRoute) -> None:
        """Lead as the store says, unless that is done already."""
        held = self.get(prefix)
        try:
            facts = json.loads(kept.facts)
            read_location(facts["target"])
        except (ValueError, KeyError, TypeError, BadLocation):
            log.exception("A route in the store leads nowhere", extra={"event": "routes.unfit"})
            return
        if held is not None and held.facts == facts:
            self._note(prefix, kept.used)
        else:
            await self._lead(prefix, facts, kept.used)

    # ---- the book

    async def _lead(self, prefix: str, facts: dict[str, Any], used: datetime) -> None:
        self._routes[self._key(prefix)] = BookedRoute(prefix, facts, used)
        if self._path is not None:
            await self._path.ask(do="put", prefix=prefix, target=facts["target"])

    async def _forget(self, prefix: str) -> None:
        if self._routes.pop(self._key(prefix), None) and self._path is not None:
            await self._path.ask(do="remove", prefix=prefix)

    def _note(self, prefix: str, moment: datetime) -> bool:
        route = self.get(prefix)
        if route is None or moment <= route.last_activity:
            return False
        route.last_activity = moment
        return True

    def _key(self, prefix: str) -> bytes:
        return key_of(prefix, is_host_first=self.is_host_first)
