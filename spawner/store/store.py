"""Keep what is known of environments; change it in single steps.

The one rule: every change of a phase is one Lua script, which looks and
changes at once. So two processes on one Redis can never hand out the same
environment, and a crash between any two calls leaves a state that the
reconciler understands. Scripts of the loops carry the fence of their lease.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from spawner.errors import Draining, KeyReused, Limited
from spawner.lifecycle import PRESENT
from spawner.limits import UNLIMITED, Allowance
from spawner.model import Address, Auth, DrainStatus, Environment, Phase, PoolStatus, Ticket, Wish
from spawner.store.connection import Connection
from spawner.store.keys import PROGRESS_TTL_S
from spawner.store.records import read_census, read_drain, read_environment, read_time, to_ms

FIRST_RETRY = timedelta(seconds=1)
LONGEST_RETRY = timedelta(minutes=1)


_NOTHING_MORE = Wish()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run the loops: send ``fence`` with every write."""

    holder: str
    #: 0 if another holds the right.
    fence: int


@dataclass(frozen=True, slots=True)
class Touch:
    """When the clocks of one environment last ticked, as ages; None for not at all."""

    environment_id: str
    #: In the order http, ws_in, ws_out, control.
    ages: tuple[timedelta | None, ...]


class Store:
    """Every step that changes what is known, and every question about it.

    Every method raises :class:`~spawner.errors.StoreUnavailable` when no
    answer came; those that take a ``fence`` raise
    :class:`~spawner.store.connection.Fenced` when it has been overtaken.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._run = connection.run
        self._keys = connection.keys

    # Launches

    async def acquire(
        self,
        template: str,
        ticket: str,
        *,
        size: int,
        remember: bool,
        allowance: Allowance = UNLIMITED,
        wish: Wish = _NOTHING_MORE,
    ) -> Ticket | None:
        """Hand out a spare, or take a place in the queue; None if there is no room.

        A ticket that is known keeps what it has. With ``remember``, the ticket
        is kept even if a spare was there, and must be collected. What is
        refused is not counted for anybody.

        Raises:
            KeyReused: The ticket was taken for another template.
            Limited: The caller has what it may have, or all have.
            Draining: Nothing is handed out at the moment.
        """
        outcome, place, record = await self._run(
            "acquire", template, ticket, size, int(remember), *_limits(allowance), *_wished(wish)
        )
        if outcome == "reused":
            raise KeyReused
        if outcome == "limited":
            limit, allowed = record
            wait = timedelta(milliseconds=place) if place else None
            raise Limited(template, limit, allowed=int(allowed), retry_after=wait)
        if outcome == "draining":
            raise Draining
        if outcome == "full":
            return None
        return replace(_ticket(ticket, template, place, record), is_new=outcome == "assigned")

    async def renew(self, ticket: str) -> Ticket | None:
        """Say that somebody still waits; None if the launch was given up."""
        answer = await self._run("renew", ticket)
        return _ticket(ticket, *answer) if answer else None

    async def look_up(self, ticket: str) -> Ticket | None:
        """Find a lasting launch, also one that ended within a day; so somebody still waits."""
        answer = await self._run("look_up", ticket)
        return answer and replace(_ticket(ticket, *answer[:3]), given_up=answer[3])

    async def queued(self) -> list[Ticket]:
        """List the lasting launches that wait."""
        return [_ticket(name, of, place, []) for name, of, place in await self._run("queued")]

    async def ended(self, most: int) -> list[str]:
        """Name environments and lasting launches that ended within a day, the newest first."""
        async with self._connection.answers():
            found = await self._connection.client.zrevrange(self._keys.ended, 0, most - 1)
        return [str(one) for one in found]

    async def collect(self, ticket: str) -> timedelta | None:
        """Say that the visitor has its environment; give its wait, or None if it was said before.

        The wait is from when the ticket was taken.
        """
        waited_ms = await self._run("collect", ticket)
        return None if waited_ms is None else timedelta(milliseconds=waited_ms)

    async def cancel(self, ticket: str, reason: str) -> None:
        """Give up a launch, its place, and the environment that nobody fetched."""
        await self._run("cancel", ticket, reason)

    async def discard(self, environment: Environment, ticket: str, reason: str) -> bool:
        """Take back a hand-out of which its visitor never heard; False if it changed meanwhile.

        It counts for nobody. ``ticket`` is given up, if the launch has one.
        """
        answer = await self._run("discard", environment.id, environment.version, reason, ticket)
        return bool(answer)

    async def lapse(self, reason: str) -> int:
        """Give up the launches that nobody asked for lately; return how many."""
        return int(await self._run("lapse", reason))

    # Environments

    async def create(  # one line for each fact of the record
        self,
        environment_id: str,
        *,
        base_path: str,
        template: str,
        digest: str,
        auth: Auth,
        size: int,
        fence: int,
    ) -> bool:
        """Record an environment before it exists; False if its pool has no room."""
        answer = await self._run(
            "create", environment_id, template, digest, auth, size, fence, base_path
        )
        return bool(answer)

    async def started(self, environment_id: str, address: Address, *, fence: int) -> bool:
        """Note where it will listen; False if it is not being created any more."""
        return bool(await self._run("started", environment_id, address.host, address.port, fence))

    async def ready(self, environment_id: str, *, fence: int) -> bool:
        """Note that it answers; whoever waits longest gets it. False if it is not starting."""
        return bool(await self._run("ready", environment_id, fence))

    async def finish(  # the guards are what this step is about
        self,
        environment_id: str,
        to: Phase,
        reason: str,
        *,
        version: int | None = None,
        unused_since: datetime | None = None,
        counts: Sequence[str] = (),
        fence: int | None = None,
    ) -> bool:
        """Begin its end, if it is as the caller saw it.

        ``version`` guards against any change; ``unused_since`` against a use
        after that instant, by the clocks in ``counts``. False if the guard
        held it back, or if it is ending already.
        """
        return bool(
            await self._run(
                "finish",
                environment_id,
                to,
                reason,
                "" if version is None else version,
                "" if unused_since is None else to_ms(unused_since),
                "" if fence is None else fence,
                *counts,
            )
        )

    async def removed(self, environment_id: str, *, fence: int) -> bool:
        """Note that nothing of it is left; False if it was not ending."""
        return bool(await self._run("removed", environment_id, fence))

    async def recover(  # what labels tell
        self,
        environment_id: str,
        *,
        base_path: str,
        template: str,
        digest: str,
        auth: Auth,
        address: Address,
        fence: int,
    ) -> bool:
        """Record one that only the backend knows, as handed out; False if there is a record."""
        answer = await self._run(
            "recover",
            environment_id,
            template,
            digest,
            auth,
            address.host,
            address.port,
            fence,
            base_path,
        )
        return bool(answer)

    async def touch(self, touches: Iterable[Touch]) -> None:
        """Note activity of many environments in one step."""
        arguments: list[str | int] = []
        for touch in touches:
            ages = (
                "" if age is None else round(age / timedelta(milliseconds=1)) for age in touch.ages
            )
            arguments += (touch.environment_id, *ages)
        if arguments:
            await self._run("touch", *arguments)

    async def find(self, environment_id: str) -> Environment | None:
        """Read one record, also of one that ended within a day."""
        async with self._connection.answers():
            key = self._keys.environment(environment_id)
            return read_environment(await self._connection.client.hgetall(key))

    async def environments(self, phases: Iterable[Phase] = PRESENT) -> list[Environment]:
        """Read the records of all environments in these phases."""
        wanted = tuple(phases)
        async with self._connection.answers():
            names = await self._connection.client.smembers(self._keys.templates)
            async with self._connection.client.pipeline(transaction=True) as pipe:
                for name in names:
                    for phase in wanted:
                        pipe.zrange(self._keys.phase(name, phase), 0, -1)
                found = [one for members in await pipe.execute() for one in members]
            async with self._connection.client.pipeline(transaction=False) as pipe:
                for environment_id in found:
                    pipe.hgetall(self._keys.environment(environment_id))
                rows = await pipe.execute()
        records = (read_environment(row) for row in rows)
        return [record for record in records if record is not None and record.phase in wanted]

    async def mark_complete(self, *, fence: int) -> None:
        """Say that every environment of the backend has a record from now on.

        The mark goes with the records when the store is emptied.
        """
        await self._run("complete", fence)

    async def is_complete(self) -> bool:
        """Say whether an id without a record is one that nobody runs."""
        async with self._connection.answers():
            return bool(await self._connection.client.exists(self._keys.complete))

    async def note(self, environment_id: str, detail: str) -> None:
        """Keep a remark on one environment's record, for operators."""
        await self._run("note", environment_id, detail)

    # Pools

    async def census(self, templates: Sequence[str]) -> list[PoolStatus]:
        """Count pools, all at one instant."""
        rows = await self._run("census", *templates)
        return [read_census(name, row) for name, row in zip(templates, rows, strict=True)]

    async def known_templates(self) -> set[str]:
        """Name the templates that ever had an environment."""
        async with self._connection.answers():
            return {
                str(name) for name in await self._connection.client.smembers(self._keys.templates)
            }

    async def trouble(self, template: str, reason: str) -> None:
        """Note that a start failed; each failure in a row doubles the wait."""
        first, longest = (
            round(wait.total_seconds() * 1000) for wait in (FIRST_RETRY, LONGEST_RETRY)
        )
        await self._run("trouble", template, reason, first, longest)

    async def progress(self, template: str, text: str) -> None:
        """Show what is being prepared for a pool."""
        async with self._connection.answers():
            await self._connection.client.set(
                self._keys.progress(template), text, ex=PROGRESS_TTL_S
            )

    # The instance

    async def claim(self, name: str, holder: str, ttl: timedelta, *, dead: str = "") -> Claim:
        """Take or renew the exclusive right to act; a fence of 0 if another has it.

        The right lapses after ``ttl`` unless renewed. It is taken at once from
        the holder named in ``dead``, of whom the caller knows that it died.
        """
        fence, current = await self._run(
            "claim", name, holder, round(ttl.total_seconds() * 1000), dead
        )
        return Claim(holder=current, fence=fence)

    async def release(self, name: str, holder: str) -> None:
        """Give the right back, if ``holder`` still has it."""
        await self._run("release", name, holder)

    async def drain(self, *, is_wanted: bool) -> bool:
        """Hand out nothing from now on, or take that back; False if it was so already."""
        return bool(await self._run("drain", "on" if is_wanted else "off"))

    async def drained(self, *, is_starting: bool = False) -> DrainStatus:
        """Say how a drain goes, and note its end; whoever starts takes an ended one as over."""
        return read_drain(await self._run("drained", int(is_starting)))

    async def attend(self, name: str, facts: str, for_s: float) -> dict[str, str]:
        """Say that a process is there, for so long; give the facts of all others, by name."""
        answer = await self._run("attend", name, facts, round(for_s * 1000))
        return dict(zip(answer[::2], answer[1::2], strict=True))

    async def share_secret(self, proposal: str) -> str:
        """Agree with the other processes on one secret; the first proposal stands."""
        async with self._connection.answers():
            await self._connection.client.set(self._keys.secret, proposal, nx=True)
            return str(await self._connection.client.get(self._keys.secret))

    async def now(self) -> datetime:
        """Read the clock by which all times here are told."""
        async with self._connection.answers():
            seconds, micros = await self._connection.client.time()
            return read_time(seconds, micros)

    async def ping(self) -> None:
        """Return if Redis answers."""
        async with self._connection.answers():
            await self._connection.client.ping()

    async def close(self) -> None:
        """Close every connection."""
        await self._connection.close()


def _limits(allowance: Allowance) -> list[str | int]:
    most = (
        allowance.launches_per_hour,
        allowance.environments,
        allowance.of_template,
        allowance.total,
    )
    window_ms = round(allowance.window / timedelta(milliseconds=1))
    return [allowance.caller, window_ms, *("" if limit is None else limit for limit in most)]


def _wished(wish: Wish) -> list[str | int]:
    idle = wish.idle_timeout
    return ["" if idle is None else idle // timedelta(milliseconds=1), int(wish.is_lasting)]


def _ticket(ticket: str, template: str, place: int, record: list[str]) -> Ticket:
    environment = read_environment(dict(zip(record[::2], record[1::2], strict=True)))
    return Ticket(id=ticket, template=template, place=place, environment=environment)
