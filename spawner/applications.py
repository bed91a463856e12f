"""Launch without waiting, and tell of it later by one id: what the Binder API calls an application.

The one rule: an application has one id from the first answer to a day after its end.
Where a spare was there it is the environment's own. Else, and always where the
environment's address must not be enough to get in, it is a ticket that leads to
the environment; so no id that was told is ever that of another visitor's environment.

A launch that waits goes on for ten minutes though nobody asks; once it has its
environment, that one is culled as any other.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from spawner.errors import LaunchLapsed, PoolFailing, UnknownEnvironment, UnknownTemplate
from spawner.identity import new_id
from spawner.launch import Launches
from spawner.limits import UNLIMITED, Allowance
from spawner.model import Auth, Environment, Phase, Ticket, Wish
from spawner.store.store import Store

#: The most that are listed of those that ended, the newest first.
MOST_ENDED = 1000
#: Their address alone does not open an environment of these.
_GUARDED = (Auth.URL, Auth.COOKIE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """One launch, from its wait to its end."""

    id: str
    template: str
    #: None while it waits, and where it was given up before it had one.
    environment: Environment | None = None
    #: Its place among those who wait for this template, from 1.
    place: int = 0
    #: Why it was given up; empty while it was not.
    given_up: str = ""

    @property
    def is_ticket(self) -> bool:
        """Say whether its id says more than the environment's address does."""
        return self.environment is None or self.id != self.environment.id


class Applications:
    """The applications of one instance.

    Every method raises :class:`~spawner.errors.StoreUnavailable` when the store
    gives no answer.
    """

    def __init__(self, store: Store, launches: Launches) -> None:
        self._store = store
        self._launches = launches

    async def launch(
        self,
        template: str,
        *,
        auth: Auth,
        ticket: str = "",
        idle_timeout: timedelta | None = None,
        allowance: Allowance = UNLIMITED,
    ) -> Application:
        """Hand out an environment or take a place in the queue; never wait.

        The same ``ticket`` (from an Idempotency-Key) gives the same application.

        Raises:
            UnknownTemplate, Limited, PoolFull, PoolFailing, KeyReused, Draining
        """
        try:
            held = await self._launches.request(
                template,
                ticket=ticket or (new_id() if auth in _GUARDED else ""),
                allowance=allowance,
                wish=Wish(idle_timeout=idle_timeout, is_lasting=True),
            )
        except UnknownEnvironment:
            return await self._ended_of(ticket)
        environment = held.environment
        if environment is None:
            return _of_ticket(held) if held.place else await self._ended_of(held.id)
        if environment.ticket:
            await self._launches.collect(held, "spare" if held.is_new else "launched")
        return _of_environment(environment)

    async def _ended_of(self, ticket: str) -> Application:
        """Find what a ticket that was used before has led to.

        Raises:
            LaunchLapsed: It was forgotten at this very moment.
        """
        held = await self._store.look_up(ticket)
        if held is None:
            raise LaunchLapsed
        return _of_ticket(held)

    async def find(self, application_id: str) -> Application | None:
        """Find one, also one that ended within a day; so a launch that waits is not given up."""
        environment = await self._store.find(application_id)
        if environment is not None:
            # Who knows the address of one that a ticket leads to is not told the ticket.
            known = replace(_of_environment(environment), id=environment.id)
            return None if environment.assigned_at is None else known
        held = await self._look(application_id)
        return None if held is None else _of_ticket(held)

    async def _look(self, ticket: str) -> Ticket | None:
        held = await self._store.look_up(ticket)
        if held is None or held.given_up:
            return held
        if held.environment is not None:
            await self._launches.collect(held, "launched")
            return held
        try:
            await self._launches.refuse_if_failing(held.template, held)
        except (PoolFailing, UnknownTemplate):
            return await self._store.look_up(ticket)
        return held

    async def all(self) -> list[Application]:
        """List those that wait or run."""
        environments = await self._store.environments((Phase.ASSIGNED,))
        waiting = [_of_ticket(held) for held in await self._store.queued()]
        return [*map(_of_environment, environments), *waiting]

    async def ended(self) -> list[Application]:
        """List those that ended within a day, the newest first."""
        found = []
        for one in await self._store.ended(MOST_ENDED):
            if environment := await self._store.find(one):
                found.append(_of_environment(environment))
            elif held := await self._store.look_up(one):
                found.append(_of_ticket(held))
        return found

    async def stop(self, application: Application, reason: str = "stopped") -> bool:
        """Begin its end; False if it has ended or is ending already."""
        if application.environment is not None:
            return await self._store.finish(application.environment.id, Phase.DRAINING, reason)
        if application.given_up:
            return False
        await self._store.cancel(application.id, reason)
        return True


def _of_environment(environment: Environment) -> Application:
    # Who launched it knows it by its ticket, if it has one.
    return Application(
        id=environment.ticket or environment.id,
        template=environment.template,
        environment=environment,
    )


def _of_ticket(held: Ticket) -> Application:
    return Application(
        id=held.id,
        template=held.template,
        environment=held.environment,
        place=held.place,
        given_up=held.given_up,
    )
