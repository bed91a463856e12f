"""Keep the proxy's table of routes true to the store.

The one rule: a route falls only because the store says so. When events may
have been missed, all routes are asked for again while they go on working; an
id of which the store has never heard is gone only if the store is known to be
complete, since one that was emptied has heard of nobody.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable

from proxy.routes import Route, RoutesUnavailable, RouteTable, Standing
from spawner.errors import StoreUnavailable
from spawner.identity import Tokens
from spawner.model import Address, Auth, Environment, Phase
from spawner.store.records import Event
from spawner.store.store import Store

log = logging.getLogger(__name__)

RETRY_S = 1.0

STANDINGS = {
    Phase.CREATING: Standing.STARTING,
    Phase.STARTING: Standing.STARTING,
    # Nobody has it yet, so nobody has business there.
    Phase.READY: Standing.STARTING,
    Phase.ASSIGNED: Standing.LIVE,
    Phase.DRAINING: Standing.DRAINING,
    Phase.STOPPED: Standing.GONE,
    Phase.FAILED: Standing.GONE,
}


class Routing:
    """Answers the proxy's questions, and hears the store's events.

    The mutable state is the set of ids to ask about again.
    """

    def __init__(
        self,
        table: RouteTable,
        store: Store,
        tokens: Tokens,
        suspect: Callable[[str], None],
        *,
        mount: str = "/",
    ) -> None:
        self._table = table
        self._store = store
        self._tokens = tokens
        self._suspect = suspect
        self._mount = mount
        self._doubted: set[str] = set()
        self._wake = asyncio.Event()

    def hear(self, event: Event) -> None:
        """Take over a change; after a gap, doubt every route."""
        if not event.template:
            self._doubt(self._table.ids())
            return
        if event.phase is None:
            return
        standing = STANDINGS[event.phase]
        # An end is remembered whoever's it is: the answer to a question that is under way may
        # be from before it. A start need not be, before somebody asks for it.
        is_start = standing is Standing.STARTING
        if not is_start or self._table.get(event.environment_id) is not None:
            self._table.put(self._route(event, event.environment_id, event.phase))

    async def look_up(self, environment_id: str) -> Route:
        """Ask the store about one id.

        Raises:
            RoutesUnavailable: It does not answer, or does not know enough to tell.
        """
        try:
            environment = await self._store.find(environment_id)
            if environment is None and not await self._store.is_complete():
                raise RoutesUnavailable
        except StoreUnavailable as error:
            raise RoutesUnavailable from error
        if environment is None or not environment.is_under(self._mount):
            return Route(environment_id, Standing.GONE)
        return self._route(environment, environment_id, environment.phase)

    def refused(self, environment_id: str) -> None:
        """Have it looked at: by the reconciler, and here, should the store not know it."""
        self._suspect(environment_id)
        self._doubt((environment_id,))

    async def run(self) -> None:
        """Ask again about doubted routes until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._doubted:
                    await self._ask_again(next(iter(self._doubted)))
            except RoutesUnavailable:
                self._wake.set()
                await asyncio.sleep(RETRY_S)

    async def _ask_again(self, environment_id: str) -> None:
        route = await self.look_up(environment_id)
        self._doubted.discard(environment_id)
        if route.standing is Standing.GONE and not route.version:
            # Not a word of it any more: whatever version is held, it is over.
            held = self._table.get(environment_id)
            route.version = held.version + 1 if held else 0
        self._table.put(route)

    def _doubt(self, ids: Iterable[str]) -> None:
        self._doubted.update(ids)
        self._wake.set()

    def _route(self, facts: Event | Environment, environment_id: str, phase: Phase) -> Route:
        address = facts.address or Address("", 0)
        authorization = session = b""
        if facts.auth in (Auth.PROXY, Auth.COOKIE):
            authorization = f"token {self._tokens.token(environment_id)}".encode()
        if facts.auth is Auth.COOKIE:
            session = self._tokens.session(environment_id).encode()
        return Route(
            environment_id,
            STANDINGS[phase],
            host=address.host,
            port=address.port,
            authorization=authorization,
            session=session,
            template=facts.template,
            reason=facts.reason,
            version=facts.version,
        )
