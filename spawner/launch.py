"""Give environments to visitors.

The one rule: a launch is a ticket, and whoever holds one must be heard of. A
spare is handed out in one step; otherwise the ticket waits in the store's
queue, and the next environment that gets ready is given to it, whichever
process its visitor waits at. A ticket that nobody asks for is given up.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta

from spawner.errors import (
    LaunchLapsed,
    LaunchTimedOut,
    Limited,
    PoolFailing,
    PoolFull,
    ServiceError,
    StoreUnavailable,
    UnknownEnvironment,
    UnknownTemplate,
)
from spawner.identity import new_id
from spawner.limits import UNLIMITED, Allowance
from spawner.model import Environment, Phase, Pool, Ticket, Wish
from spawner.readiness import connects
from spawner.recorder import UNRECORDED, Recorder, Way, refusals
from spawner.store.records import Event
from spawner.store.store import Store

log = logging.getLogger(__name__)

#: The longest time between two looks at a ticket, should an event be missed.
RENEW = timedelta(seconds=2)
#: So many starts may fail in a row before those who wait are told.
PATIENCE = 2
FULL_RETRY_S = (5.0, 15.0)
_NOTHING_MORE = Wish()


class Launches:
    """Hands out environments and follows the tickets that wait for one.

    Its state is the tickets that wait here, each with its bell.
    """

    def __init__(
        self,
        store: Store,
        pools: Mapping[str, Pool],
        mount: str = "/",
        recorder: Recorder = UNRECORDED,
    ) -> None:
        self._store = store
        self._pools = pools
        self._mount = mount
        self._recorder = recorder
        self._bells: dict[str, set[asyncio.Event]] = {}

    def hear(self, event: Event) -> None:
        """Wake whoever got an environment; after a gap, wake all."""
        wakened = (event.ticket,) if event.template else tuple(self._bells)
        for ticket in wakened:
            for bell in self._bells.get(ticket, ()):
                bell.set()

    async def request(
        self,
        template: str,
        *,
        ticket: str = "",
        allowance: Allowance = UNLIMITED,
        wish: Wish = _NOTHING_MORE,
    ) -> Ticket:
        """Hand out a spare, or give a place in the queue; never wait.

        With ``ticket`` (from an Idempotency-Key), the same ticket gives the
        same environment, as long as that one runs.

        Raises:
            UnknownTemplate, Limited, PoolFull, PoolFailing, KeyReused, StoreUnavailable
            UnknownEnvironment: The environment of this ticket has ended.
        """
        began = time.monotonic()
        try:
            with refusals(self._recorder, template):
                held = await self._hold(template, ticket, allowance, wish)
        except (PoolFull, PoolFailing) as error:
            _log_refused(template, error)
            raise
        # What is remembered is counted when it is collected.
        if held.is_new and not ticket:
            self._note_hand_out(held, "spare", time.monotonic() - began)
        return held

    async def _hold(self, template: str, ticket: str, allowance: Allowance, wish: Wish) -> Ticket:
        for _ in range(self._size(template) + 1):
            held = await self._acquire(template, ticket, allowance, wish)
            environment = held.environment
            if environment is None:
                await self.refuse_if_failing(template, held)
                return held
            if environment.phase is not Phase.ASSIGNED or environment.address is None:
                raise UnknownEnvironment(environment.id, environment.reason)
            # Only a spare is judged; a session is not.
            fault = await self._fault(environment) if held.is_new else ""
            if not fault:
                return held
            await self._discard(environment, ticket, fault)
        raise PoolFull(template, _full_retry())

    def _size(self, template: str) -> int:
        pool = self._pools.get(template)
        if pool is None:
            raise UnknownTemplate(template)
        return pool.size

    async def _acquire(
        self, template: str, ticket: str, allowance: Allowance, wish: Wish
    ) -> Ticket:
        size = self._size(template)
        try:
            held = await self._store.acquire(
                template,
                ticket or new_id(),
                size=size,
                remember=bool(ticket),
                allowance=allowance,
                wish=wish,
            )
        except Limited as error:
            _log_limited(error, allowance)
            raise
        if held is None:
            raise await self._why_no_room(template)
        return held

    async def _why_no_room(self, template: str) -> PoolFull | PoolFailing:
        """Tell a pool that is in use from one that failed starts take up.

        Those keep their places until the backend says that nothing is left of them.
        """
        (status,) = await self._store.census([template])
        trouble = status.trouble
        in_use = status.present - status.counts.get(Phase.FAILED, 0)
        if trouble is not None and in_use < self._size(template):
            return PoolFailing(template, trouble.reason, trouble.retry_after)
        return PoolFull(template, _full_retry())

    async def _fault(self, environment: Environment) -> str:
        """Say why a spare cannot be handed out, though nobody noticed until now."""
        assert environment.address is not None
        if not environment.is_under(self._mount):
            return "base_url changed"
        if not await connects(environment.address):
            return "did not answer when it was handed out"
        return ""

    async def _discard(self, environment: Environment, ticket: str, reason: str) -> None:
        """Take back a spare that is of no use; its visitor never heard of it."""
        log.warning(
            "A spare was of no use",
            extra={
                "event": "environment.useless_spare",
                "environment": environment.id,
                "reason": reason,
            },
        )
        await self._store.discard(environment, ticket, reason)

    async def refuse_if_failing(self, template: str, held: Ticket) -> None:
        """Give a launch up whose environments do not come up.

        Raises:
            PoolFailing, UnknownTemplate, StoreUnavailable
        """
        if template not in self._pools:
            await self._store.cancel(held.id, "template removed")
            raise UnknownTemplate(template)
        (status,) = await self._store.census([template])
        trouble = status.trouble
        if trouble is not None and trouble.failures >= PATIENCE:
            await self._store.cancel(held.id, f"failing: {trouble.reason}")
            raise PoolFailing(template, trouble.reason, trouble.retry_after)

    async def launch(
        self,
        template: str,
        *,
        within: timedelta,
        ticket: str = "",
        allowance: Allowance = UNLIMITED,
    ) -> Environment:
        """Hand out an environment, waiting for one if need be.

        When the caller goes away (cancellation) or time is up, the launch is
        given up and nothing of it is left; but a launch with a ticket of the
        caller's own stays for a while, since the caller may ask again.

        Raises:
            LaunchTimedOut, LaunchLapsed: and what :meth:`request` raises.
        """
        held = await self._request_whole(template, ticket, allowance)
        try:
            with refusals(self._recorder, template):
                return await self._see_handed_out(held, within, is_remembered=bool(ticket))
        except LaunchTimedOut as error:
            _log_refused(template, error)
            await self._give_up(held, "nobody waited any more")
            raise
        except asyncio.CancelledError:
            if not ticket:
                await self._give_up(held, "its visitor went away")
            raise

    async def _see_handed_out(
        self, held: Ticket, within: timedelta, *, is_remembered: bool
    ) -> Environment:
        way: Way = "spare" if held.is_new else "launched"
        try:
            async with asyncio.timeout(within.total_seconds()):
                async for current in self._follow(held):
                    held = current
            if is_remembered or not held.is_new:
                await self.collect(held, way)
        except TimeoutError:
            raise LaunchTimedOut from None
        assert held.environment is not None
        return held.environment

    async def collect(self, held: Ticket, way: Way) -> None:
        """Note that the visitor has it; it is counted once, however often they ask."""
        waited = await self._store.collect(held.id)
        if waited is not None:
            self._note_hand_out(held, way, waited.total_seconds())

    def _note_hand_out(self, held: Ticket, way: Way, took_s: float) -> None:
        self._recorder.handed_out(held.template, way, took_s)
        log.info(
            "Environment handed out",
            extra={
                "event": "environment.handed_out",
                "environment": held.environment.id if held.environment else "",
                "template": held.template,
                "way": way,
                "seconds": round(took_s, 3),
            },
        )

    async def _request_whole(self, template: str, ticket: str, allowance: Allowance) -> Ticket:
        """Request to the end even if cancelled, so that it is known what to give up."""
        requesting = asyncio.create_task(self.request(template, ticket=ticket, allowance=allowance))
        try:
            return await asyncio.shield(requesting)
        except asyncio.CancelledError:
            (outcome,) = await asyncio.gather(requesting, return_exceptions=True)
            if isinstance(outcome, Ticket) and not ticket:
                await self._give_up(outcome, "its visitor went away")
            raise

    async def follow(self, ticket: str) -> AsyncGenerator[Ticket]:
        """Give a ticket now and whenever it changes, until it has an environment.

        Following keeps it alive; one that nobody follows lapses.

        Raises:
            LaunchLapsed: It was given up, or there never was such a ticket.
            PoolFailing, StoreUnavailable
            UnknownTemplate: The template was removed meanwhile.
        """
        held = await self._store.renew(ticket)
        if held is None:
            raise LaunchLapsed
        try:
            async for current in self._follow(held):
                yield current
                held = current
        except PoolFailing as error:
            self._recorder.refused(held.template, "error")
            _log_refused(held.template, error)
            raise
        await self.collect(held, "launched")

    async def _follow(self, held: Ticket) -> AsyncGenerator[Ticket]:
        with self._bell(held.id) as bell:
            while True:
                yield held
                if held.environment is not None:
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(RENEW.total_seconds()):
                        await bell.wait()
                bell.clear()
                renewed = await self._store.renew(held.id)
                if renewed is None:
                    raise LaunchLapsed
                held = renewed
                if held.environment is None:
                    await self.refuse_if_failing(held.template, held)

    @contextmanager
    def _bell(self, ticket: str) -> Iterator[asyncio.Event]:
        bell = asyncio.Event()
        # Rung once at the beginning: what happened before it hung here was not heard.
        bell.set()
        self._bells.setdefault(ticket, set()).add(bell)
        try:
            yield bell
        finally:
            self._bells[ticket].discard(bell)
            if not self._bells[ticket]:
                del self._bells[ticket]

    async def _give_up(self, held: Ticket, reason: str) -> None:
        try:
            await self._store.cancel(held.id, reason)
            if held.environment is not None:
                await self._store.finish(held.environment.id, Phase.DRAINING, reason)
        except StoreUnavailable:
            # The ticket lapses by itself.
            log.debug("A launch will lapse", extra={"event": "launch.left"})


def _log_refused(template: str, error: ServiceError) -> None:
    log.info(
        "A launch was refused",
        extra={"event": "launch.refused", "template": template, "reason": error.code},
    )


def _log_limited(error: Limited, allowance: Allowance) -> None:
    """Tell the operator which limit it is and, by a part of its hash, whether it is one caller."""
    log.info(
        "A launch was refused by a limit",
        extra={
            "event": "launch.limited",
            "limit": error.limit,
            "template": error.template,
            "caller": allowance.caller[:8],
        },
    )


def _full_retry() -> timedelta:
    """Spread those who were turned away, so that they do not come back all at once."""
    return timedelta(seconds=random.uniform(*FULL_RETRY_S))  # noqa: S311
