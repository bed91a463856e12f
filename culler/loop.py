"""Look for environments that have outlived their use, and begin their end.

The one rule: the end is decided in the store, in one step that looks once
more at the clocks, so that a use which came first wins. Who stops the
container is :mod:`spawner.ending`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import aiohttp

from culler.kernels import KernelsUnknown, ask_kernels
from culler.policy import (
    UNKNOWN,
    CullingSettings,
    Kept,
    Policy,
    Verdict,
    due_at,
    due_when_kept,
    judge,
    kept_by_kernels,
    last_use,
    policy_for,
)
from spawner.identity import Tokens
from spawner.model import Environment, Phase, Template
from spawner.recorder import UNRECORDED, Recorder
from spawner.store.store import Store

log = logging.getLogger(__name__)

#: So many environments are asked for their kernels at once.
ASKED_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one look found of one environment."""

    environment: Environment
    policy: Policy
    #: The reason to end it; None where there is none yet.
    verdict: Verdict | None
    #: What keeps it all the same.
    kept: Kept | None
    #: When it will be ended at the earliest; None for never, or not known.
    due: datetime | None
    #: When it was looked at.
    at: datetime
    is_ended: bool = False

    @property
    def goes(self) -> bool:
        """Say whether it is to be ended now."""
        return self.verdict is not None and self.kept is None


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
    recorder: Recorder = UNRECORDED

    async def run(self, fence: int) -> None:
        """Work until cancelled."""
        while True:
            await self.look(fence)
            await asyncio.sleep(self.settings.interval.total_seconds())

    async def look(self, fence: int | None = None) -> list[Finding]:
        """Judge every environment once, end those that are to go, and say what was found.

        The loop sends the fence of its lease. An operator's look needs none:
        each end is decided in one step by the store, whoever else looks.
        """

        async def cull(finding: Finding) -> Finding:
            return await self._cull(finding, fence) if finding.goes else finding

        return await self._judge_all(cull)

    async def survey(self) -> list[Finding]:
        """Judge every environment once as :meth:`look` does, and end none."""

        async def leave(finding: Finding) -> Finding:
            return finding

        return await self._judge_all(leave)

    async def _judge_all(self, act: Callable[[Finding], Awaitable[Finding]]) -> list[Finding]:
        await self.flush()
        now = await self.store.now()
        turn = asyncio.Semaphore(ASKED_AT_ONCE)

        async def one(environment: Environment) -> Finding:
            return await act(await self._judge(environment, now, turn))

        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(one(environment))
                for environment in await self.store.environments((Phase.ASSIGNED,))
            ]
        return [task.result() for task in tasks]

    async def _judge(
        self, environment: Environment, now: datetime, turn: asyncio.Semaphore
    ) -> Finding:
        template = self.templates.get(environment.template)
        policy = policy_for(environment, template, self.settings)
        verdict = judge(environment, policy, now)
        kept, due = None, due_at(environment, policy)
        if verdict is not None and verdict.ask_kernels:
            async with turn:
                kept = await self._kept(environment, policy)
            if kept is not None:
                due = due_when_kept(environment, policy, kept)
        return Finding(
            environment=environment, policy=policy, verdict=verdict, kept=kept, due=due, at=now
        )

    async def _cull(self, finding: Finding, fence: int | None) -> Finding:
        environment, verdict = finding.environment, finding.verdict
        assert verdict is not None
        if verdict.ask_kernels:
            await self.flush()
        is_ended = await self.store.finish(
            environment.id,
            Phase.DRAINING,
            verdict.reason,
            version=environment.version,
            unused_since=verdict.unused_since,
            counts=finding.policy.counts,
            fence=fence,
        )
        if is_ended:
            self.recorder.culled(environment.template, verdict.reason)
            log.info(
                "Environment culled",
                extra={
                    "event": "environment.culled",
                    "environment": environment.id,
                    "template": environment.template,
                    "reason": verdict.reason,
                    "idle_s": _seconds(last_use(environment, finding.policy.counts), finding.at),
                    "age_s": _seconds(environment.assigned_at, finding.at),
                },
            )
        return replace(finding, is_ended=is_ended)

    async def _kept(self, environment: Environment, policy: Policy) -> Kept | None:
        assert policy.idle_timeout is not None
        token = self.tokens.token(environment.id)
        try:
            kernels = await ask_kernels(self.session, environment, token=token)
        except KernelsUnknown:
            log.info(
                "An idle environment does not say what its kernels do",
                extra={"event": "cull.unknown", "environment": environment.id},
            )
            return UNKNOWN
        return kept_by_kernels(kernels, policy.idle_timeout, await self.store.now())


def _seconds(since: datetime | None, until: datetime) -> int | None:
    return None if since is None else round((until - since).total_seconds())
