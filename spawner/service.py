"""What the core offers to whoever speaks for visitors and operators.

A façade and nothing more: it binds the store, the backend and the launches
together, so that the web package has one thing to call.
"""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime, timedelta

from spawner.api_keys import ApiKeys
from spawner.applications import Applications
from spawner.backends.base import Backend
from spawner.builder.builds import Builds
from spawner.catalogue import Catalogue
from spawner.drain import Drain
from spawner.identity import Tokens
from spawner.launch import Launches
from spawner.limits import UNLIMITED, Allowance
from spawner.model import Environment, Phase, PoolStatus, Ticket
from spawner.preloads import Preloads
from spawner.store.store import Store

LAUNCH_TIMEOUT = timedelta(minutes=2)


class Service:
    """The environments of one instance.

    Whatever asks the store raises :class:`~spawner.errors.StoreUnavailable`
    when it gives no answer.
    """

    def __init__(
        self,
        store: Store,
        backend: Backend,
        tokens: Tokens,
        *,
        catalogue: Catalogue,
        launches: Launches,
        drain: Drain,
        api_keys: ApiKeys,
        preloads: Preloads,
        builds: Builds | None = None,
    ) -> None:
        self.backend = backend
        self.instance_drain = drain
        self.api_keys = api_keys
        self.preloads = preloads
        self.catalogue = catalogue
        self.templates = catalogue.templates
        self.pools = catalogue.pools
        #: None where what runs environments has no images.
        self.builds = builds
        self._store = store
        self._tokens = tokens
        self._launches = launches
        self.applications = Applications(store, launches)

    def ticket(self, scope: str, key: str) -> str:
        """Give the ticket of a caller's Idempotency-Key; ``scope`` says who the caller is."""
        return self._tokens.ticket(scope, key)

    def caller(self, name: str) -> str:
        """Give what stands for a caller in an allowance; it tells nobody the name."""
        return self._tokens.caller(name)

    async def launch(
        self,
        template: str,
        *,
        ticket: str = "",
        within: timedelta = LAUNCH_TIMEOUT,
        allowance: Allowance = UNLIMITED,
    ) -> Environment:
        """Hand out an environment, waiting for one (:meth:`Launches.launch`)."""
        allowance = self._with_template(allowance, template)
        return await self._launches.launch(
            template, within=within, ticket=ticket, allowance=allowance
        )

    async def request(
        self, template: str, *, ticket: str = "", allowance: Allowance = UNLIMITED
    ) -> Ticket:
        """Hand out an environment or a place in the queue (:meth:`Launches.request`)."""
        allowance = self._with_template(allowance, template)
        return await self._launches.request(template, ticket=ticket, allowance=allowance)

    def _with_template(self, allowance: Allowance, template: str) -> Allowance:
        """Add what the template itself allows each caller."""
        known = self.templates.get(template)
        return replace(allowance, of_template=known.max_per_caller) if known else allowance

    def follow(self, ticket: str) -> AsyncGenerator[Ticket]:
        """Follow a launch that waits (:meth:`Launches.follow`)."""
        return self._launches.follow(ticket)

    async def find(self, environment_id: str) -> Environment | None:
        """Look an environment up, also one that ended within a day."""
        return await self._store.find(environment_id)

    async def stop(self, environment_id: str, *, reason: str = "stopped") -> bool:
        """Begin an environment's end; False if there is none or it is ending already."""
        return await self._store.finish(environment_id, Phase.DRAINING, reason)

    async def drain(self, template: str | None = None) -> int:
        """End the spares of one pool or of all, and say how many; new ones follow at once."""
        spares = await self._store.environments((Phase.READY,))
        ended = [
            await self._store.finish(
                spare.id, Phase.DRAINING, "pool drained", version=spare.version
            )
            for spare in spares
            if template in (None, spare.template)
        ]
        return sum(ended)

    async def pool_status(self) -> list[PoolStatus]:
        """Count all pools at one instant, also those whose template is gone."""
        names = {*self.pools, *await self._store.known_templates()}
        statuses = await self._store.census(sorted(names))
        return [one for one in statuses if one.template in self.pools or one.present]

    async def environments(self) -> list[Environment]:
        """List all environments that take a place."""
        return await self._store.environments()

    async def now(self) -> datetime:
        """Read the clock by which all times of environments are told."""
        return await self._store.now()

    def token(self, environment_id: str) -> str:
        """Give an environment's own token."""
        return self._tokens.token(environment_id)

    def session(self, environment_id: str) -> str:
        """Give what shows that a browser was given an environment."""
        return self._tokens.session(environment_id)

    async def ping(self) -> None:
        """Return if the store answers."""
        await self._store.ping()
