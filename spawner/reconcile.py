"""Compare what the store says with what the backend has, and repair both ways.

The one rule: only what the backend itself answered changes anything. The
listing is read *before* the records, so what is listed without a record was
never recorded or has ended; a record that is not listed is asked for once
more by itself.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from spawner.backends.base import Backend, Observed
from spawner.errors import BackendUnavailable
from spawner.last_words import LastWords
from spawner.lifecycle import COMING, ENDING
from spawner.model import Environment, Phase, Template
from spawner.recorder import UNRECORDED, Recorder
from spawner.store.store import Store

log = logging.getLogger(__name__)

SWEEP_S = 10.0
RETRY_S = 2.0
#: How long a start may outlast its own timeout before it counts as forgotten.
FORGOTTEN_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Findings:
    """What does not agree."""

    #: In the backend, unknown to the store.
    strays: tuple[Observed, ...]
    #: Ids whose record says that they run, but which do not, or are not there.
    missing: tuple[str, ...]
    #: Ids whose start nobody carries on.
    orphans: tuple[str, ...]


def compare(
    observed: Sequence[Observed],
    records: Sequence[Environment],
    templates: Mapping[str, Template],
    *,
    fence: int,
    now: datetime,
) -> Findings:
    """Say what does not agree (pure).

    A start belongs to the lease under which it began: with another fence, it
    is one that a crash or a lost lease left behind.
    """
    running = {one.id for one in observed if one.is_running}
    recorded = {record.id for record in records}
    orphans, missing = [], []
    for record in records:
        if record.phase in COMING:
            template = templates.get(record.template)
            limit = (template.start_timeout if template else timedelta(0)) + FORGOTTEN_AFTER
            if record.fence != fence or now - record.created_at > limit:
                orphans.append(record.id)
        elif record.phase not in ENDING and record.id not in running:
            missing.append(record.id)
    strays = tuple(one for one in observed if one.id not in recorded)
    return Findings(strays, tuple(missing), tuple(orphans))


class Reconcile:
    """The loop that compares and repairs, and the watch for sudden ends."""

    def __init__(
        self,
        store: Store,
        backend: Backend,
        last_words: LastWords,
        templates: Mapping[str, Template],
        recorder: Recorder = UNRECORDED,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._backend = backend
        self._last_words = last_words
        self._templates = templates
        self._suspects: set[str] = set()
        self._wake = asyncio.Event()

    def suspect(self, environment_id: str) -> None:
        """Look at one environment soon; never waits."""
        self._suspects.add(environment_id)
        self._wake.set()

    async def run(self, fence: int) -> None:
        """Sweep at once and then again and again, and look at suspects in between."""
        while True:
            try:
                await self._sweep(fence)
            except BackendUnavailable as error:
                log.warning(
                    "The backend does not answer; nothing is concluded from that",
                    extra={"event": "backend.unavailable", "reason": str(error)},
                )
            try:
                async with asyncio.timeout(SWEEP_S):
                    while True:
                        await self._wake.wait()
                        await self._look_at_suspects(fence)
            except TimeoutError:
                continue

    async def watch(self, fence: int) -> None:  # noqa: ARG002  # a duty; it writes nothing
        """Turn the backend's news of ends into suspects."""
        while True:
            try:
                async for environment_id in self._backend.endings():
                    self.suspect(environment_id)
            except BackendUnavailable:
                log.debug("No news from the backend", extra={"event": "backend.silent"})
            await asyncio.sleep(RETRY_S)

    async def _look_at_suspects(self, fence: int) -> None:
        self._wake.clear()
        while self._suspects:
            try:
                await self._check(self._suspects.pop(), fence)
            except BackendUnavailable:
                # The next sweep will find it.
                return

    async def _sweep(self, fence: int) -> None:
        observed = await self._backend.list()
        records = await self._store.environments()
        now = await self._store.now()
        findings = compare(observed, records, self._templates, fence=fence, now=now)
        self._recorder.found("orphan", len(findings.orphans))
        self._recorder.found("stray", len(findings.strays))
        for orphan in findings.orphans:
            await self._store.finish(orphan, Phase.FAILED, "its start was cut short", fence=fence)
        for missing in findings.missing:
            await self._check(missing, fence)
        for stray in findings.strays:
            await self._adopt(stray, fence)
        await self._store.mark_complete(fence=fence)
        if findings != Findings((), (), ()):
            log.info(
                "Reconciled",
                extra={
                    "event": "reconcile.repaired",
                    "orphans": len(findings.orphans),
                    "missing": len(findings.missing),
                    "strays": len(findings.strays),
                },
            )

    async def _check(self, environment_id: str, fence: int) -> None:
        """Fail an environment that the backend says has ended."""
        record = await self._store.find(environment_id)
        if record is None or record.phase not in (Phase.READY, Phase.ASSIGNED):
            return
        observed = await self._backend.inspect(environment_id)
        if observed is not None and observed.is_running:
            return
        reason = (
            "it vanished"
            if observed is None
            else f"it ended: {observed.detail or 'no reason known'}"
        )
        template = self._templates.get(record.template)
        tail = await self._last_words.of(environment_id, template) if observed else ""
        if await self._store.finish(
            environment_id, Phase.FAILED, reason, version=record.version, fence=fence
        ):
            self._recorder.found("missing")
            log.warning(
                "Environment died",
                extra={
                    "event": "environment.died",
                    "environment": environment_id,
                    "template": record.template,
                    "reason": reason,
                    "tail": tail,
                },
            )

    async def _adopt(self, stray: Observed, fence: int) -> None:
        """Record what only the backend knows, or remove what has ended.

        A record that says it ended means that the backend made it late, after
        its start had been given up. No record at all means that the store
        lost it: it may be a visitor's, so it counts as handed out.
        """
        record = await self._store.find(stray.id)
        if record is None and stray.is_running and stray.address is not None:
            await self._store.recover(
                stray.id,
                base_path=stray.base_path,
                template=stray.template,
                digest=stray.digest,
                auth=stray.auth,
                address=stray.address,
                fence=fence,
            )
            log.warning(
                "Found an environment again",
                extra={
                    "event": "environment.recovered",
                    "environment": stray.id,
                    "template": stray.template,
                },
            )
        elif record is None or record.phase in (Phase.STOPPED, Phase.FAILED):
            await self._backend.stop(stray.id, 0)
