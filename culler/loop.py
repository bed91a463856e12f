"""Look for environments that have outlived their use, and begin their end.

The one rule: the end is decided in the store, in one step that looks once
more at the clocks, so that a use which came first wins. Who stops the
container is :mod:`spawner.ending`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp

from culler.kernels import KernelsUnknown, ask_kernels
from culler.policy import CullingSettings, Policy, Verdict, are_kernels_done, judge, policy_of
from spawner.identity import Tokens
from spawner.model import Environment, Phase, Template
from spawner.store.store import Store

log = logging.getLogger(__name__)

#: So many environments are asked for their kernels at once.
ASKED_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Culler:
    """The loop that culls."""

    store: Store
    tokens: Tokens
    session: aiohttp.ClientSession
    templates: Mapping[str, Template]
    settings: CullingSettings
    #: Writes down the activity that this process has seen and not yet written.
    flush: Callable[[], Awaitable[None]]

    async def run(self, fence: int) -> None:
        """Work until cancelled."""
        while True:
            await self.look(fence)
            await asyncio.sleep(self.settings.interval.total_seconds())

    async def look(self, fence: int) -> None:
        """Judge every environment once."""
        await self.flush()
        now = await self.store.now()
        turn = asyncio.Semaphore(ASKED_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for environment in await self.store.environments((Phase.ASSIGNED,)):
                policy = policy_of(self.templates.get(environment.template), self.settings)
                verdict = judge(environment, policy, now)
                if verdict is not None:
                    group.create_task(
                        self._cull(environment, policy, verdict, turn=turn, fence=fence)
                    )

    async def _cull(
        self,
        environment: Environment,
        policy: Policy,
        verdict: Verdict,
        *,
        turn: asyncio.Semaphore,
        fence: int,
    ) -> None:
        if verdict.ask_kernels:
            async with turn:
                if not await self._are_done(environment, policy):
                    return
            await self.flush()
        is_ended = await self.store.finish(
            environment.id,
            Phase.DRAINING,
            verdict.reason,
            version=environment.version,
            unused_since=verdict.unused_since,
            counts=policy.counts,
            fence=fence,
        )
        if is_ended:
            log.info(
                "Environment culled",
                extra={
                    "event": "environment.culled",
                    "environment": environment.id,
                    "template": environment.template,
                    "reason": verdict.reason,
                },
            )

    async def _are_done(self, environment: Environment, policy: Policy) -> bool:
        assert policy.idle_timeout is not None
        token = self.tokens.token(environment.id)
        try:
            kernels = await ask_kernels(self.session, environment, token=token)
        except KernelsUnknown:
            log.info(
                "An idle environment does not say what its kernels do",
                extra={"event": "cull.unknown", "environment": environment.id},
            )
            return False
        return are_kernels_done(kernels, policy.idle_timeout, await self.store.now())
