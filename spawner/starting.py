"""Bring one environment from nothing to ready.

The one rule: its record is there before it is. Whatever happens on the way,
the record says ``failed`` with the reason, and :mod:`spawner.ending` removes
what there is of it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import aiohttp

from spawner.backends.base import Backend, Order
from spawner.errors import BackendUnavailable, ServiceError, StartFailed, StoreUnavailable
from spawner.identity import Tokens, new_id
from spawner.last_words import LastWords
from spawner.model import Address, Auth, Environment, Phase, Pool, Template, base_path
from spawner.readiness import wait_until_ready
from spawner.recorder import UNRECORDED, Recorder
from spawner.store.connection import Fenced
from spawner.store.store import Store

log = logging.getLogger(__name__)

STORE_RETRY_S = 0.5

_Answer = TypeVar("_Answer")


async def _insist(step: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Take a step that may be taken twice, again and again until the store answers.

    There is something running by now: giving up would leave it to nobody.
    """
    while True:
        try:
            return await step()
        except StoreUnavailable:
            await asyncio.sleep(STORE_RETRY_S)


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts environments under a mount, one at each call."""

    store: Store
    backend: Backend
    tokens: Tokens
    session: aiohttp.ClientSession
    last_words: LastWords
    mount: str
    recorder: Recorder = UNRECORDED

    async def record(self, template: Template, pool: Pool, fence: int) -> str | None:
        """Record one environment before it exists; give its id, or None if there is no room.

        Raises:
            Fenced: The lease was lost.
        """
        environment_id = new_id()
        is_recorded = await self.store.create(
            environment_id,
            base_path=base_path(environment_id, self.mount),
            template=template.name,
            digest=template.digest,
            auth=template.auth,
            size=pool.size,
            fence=fence,
        )
        return environment_id if is_recorded else None

    async def start(self, environment_id: str, template: Template, fence: int) -> bool:
        """Start a recorded environment and see it ready; False if that failed.

        Raises:
            Fenced: The lease was lost. What was begun is ended, unless it may
                have been handed out already.
        """
        began = time.monotonic()  # its record was made a moment ago
        try:
            async with asyncio.timeout(template.start_timeout.total_seconds()):
                address = await self._run(environment_id, template)
                await self._see_ready(environment_id, template, address, fence)
        except (ServiceError, TimeoutError) as error:
            took_s = time.monotonic() - began
            await self._fail(environment_id, template, error, took_s=took_s, fence=fence)
            return False
        except Fenced:
            await self._abandon(environment_id, template)
            raise
        await _insist(lambda: self.store.ready(environment_id, fence=fence))
        self._announce(environment_id, template, time.monotonic() - began)
        return True

    async def _run(self, environment_id: str, template: Template) -> Address:
        token = "" if template.auth is Auth.NONE else self.tokens.token(environment_id)
        order = Order(
            id=environment_id,
            base_path=base_path(environment_id, self.mount),
            template=template,
            token=token,
            egress_key=self.tokens.egress(environment_id),
            services_key=self.tokens.services(environment_id),
        )
        return await self.backend.start(order)

    async def _see_ready(
        self, environment_id: str, template: Template, address: Address, fence: int
    ) -> None:
        is_wanted = await _insist(lambda: self.store.started(environment_id, address, fence=fence))
        environment = await _insist(lambda: self.store.find(environment_id))
        if environment is None or (not is_wanted and environment.phase is not Phase.STARTING):
            raise StartFailed("it was ended before it was ready")
        await self._probe(environment, template)

    async def _probe(self, environment: Environment, template: Template) -> None:
        """Return when it answers; raise StartFailed when it ends instead."""
        probing = asyncio.create_task(
            wait_until_ready(
                self.session,
                environment,
                template.ready_path,
                token=self.tokens.token(environment.id),
            )
        )
        dying = asyncio.create_task(self._wait_for_end(environment.id))
        try:
            await asyncio.wait({probing, dying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (probing, dying):
                task.cancel()
            await asyncio.gather(probing, dying, return_exceptions=True)
        if probing.cancelled():
            raise StartFailed(dying.result())
        probing.result()

    async def _wait_for_end(self, environment_id: str) -> str:
        """Return how an environment ended, once it has; look less and less often."""
        pause_s = 0.5
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)
            try:
                observed = await self.backend.inspect(environment_id)
            except BackendUnavailable:
                continue
            if observed is None:
                return "it vanished before it was ready"
            if not observed.is_running:
                return f"it ended before it was ready: {observed.detail or 'no reason known'}"

    def _announce(self, environment_id: str, template: Template, took_s: float) -> None:
        self.recorder.became_ready(template.name, took_s)
        log.info(
            "Environment ready",
            extra={
                "event": "environment.ready",
                "environment": environment_id,
                "template": template.name,
                "seconds": round(took_s, 3),
            },
        )

    async def _fail(
        self,
        environment_id: str,
        template: Template,
        error: Exception,
        *,
        took_s: float,
        fence: int,
    ) -> None:
        reason = str(error)
        if isinstance(error, TimeoutError):
            reason = f"not ready within {template.start_timeout.total_seconds():g} s"
        self.recorder.failed_to_start(template.name)
        tail = await self.last_words.of(environment_id, template)
        log.warning(
            "Environment did not start",
            extra={
                "event": "environment.failed",
                "environment": environment_id,
                "template": template.name,
                "reason": reason,
                "seconds": round(took_s, 3),
                "tail": tail,
            },
        )
        last = tail.strip().rsplit("\n", 1)[-1][:200]
        shown = f"{reason} ({last})" if last else reason
        await _insist(lambda: self.store.finish(environment_id, Phase.FAILED, shown, fence=fence))
        await _insist(lambda: self.store.trouble(template.name, shown))

    async def _abandon(self, environment_id: str, template: Template) -> None:
        try:
            await self.backend.stop(environment_id, template.stop_grace.total_seconds())
        except ServiceError as error:
            log.warning(
                "Could not end what was begun",
                extra={
                    "event": "environment.left",
                    "environment": environment_id,
                    "template": template.name,
                    "reason": str(error),
                },
            )
