"""See that the processes of one instance agree on what they share.

Each tells the others its settings, as digests: there are secrets among them. What
differs is logged by name, since a visitor who meets first one and then the other
would see both. The one thing that is refused is environments that are plain
processes in another place: whoever holds the lease would take them for ended.
"""

import asyncio
import hashlib
import json
import logging
import platform
from collections.abc import Iterator, Mapping

from spawner.errors import StoreUnavailable
from spawner.holder import is_dead, name_process
from spawner.store.store import Store
from web.config import Settings
from web.start_errors import StartError

log = logging.getLogger(__name__)

PAUSE_S = 5.0
#: Of one that was killed on another machine, it is known so long after.
PRESENCE_S = 15.0
PLACE = "place of processes"
#: What each process may have of its own.
_OWN = frozenset(
    "host port metrics_host metrics_port take_over proxy_workers ssl_cert ssl_key "
    "ssl_key_passphrase redis_url state_dir api_key secret_key backend max_starting drain_delay "
    "log_level log_format docker on_exit".split()
)
_NAMED = ("templates.", "pools.", "services.")

Facts = Mapping[str, str]


def facts_of(settings: Settings, *, backend: str, secrets: Mapping[str, str]) -> Facts:
    """Give a digest of each setting that all must share (pure but for the machine's name)."""
    shared = settings.model_dump(mode="json", exclude=set(_OWN))
    facts = {name: _digest(value) for name, value in _flat(shared)}
    facts |= {name: _digest(value) for name, value in secrets.items()}
    facts["backend"] = _digest(backend)
    if backend == "process":
        facts[PLACE] = _digest([platform.node(), str(settings.state)])
    return facts


def differing(ours: Facts, theirs: Facts) -> list[str]:
    """Name what two processes do not agree on (pure).

    A setting that only one of them knows belongs to another version.
    """
    return sorted(
        name
        for name in ours.keys() | theirs.keys()
        if ours.get(name) != theirs.get(name)
        and (name in ours.keys() & theirs.keys() or name.startswith(_NAMED))
    )


class Agreement:
    """One process' word to the others; it remembers of whom it has warned."""

    def __init__(self, store: Store, facts: Facts) -> None:
        self._store = store
        self._facts = facts
        self._name = name_process()
        self._told: set[tuple[str, ...]] = set()

    async def check(self) -> None:
        """Say that we are there, and warn of whom we do not agree with.

        Raises:
            StartError: Another's environments are processes that we cannot see.
            StoreUnavailable
        """
        others = await self._store.attend(self._name, json.dumps(self._facts), PRESENCE_S)
        for name, facts in others.items():
            if not is_dead(name):
                self._compare(name, json.loads(facts))

    async def keep(self) -> None:
        """Go on saying so until cancelled."""
        while True:
            await asyncio.sleep(PAUSE_S)
            try:
                await self.check()
            except (StoreUnavailable, StartError):
                # Who came later is the one that was refused.
                log.debug("No word with the others", extra={"event": "replicas.unknown"})

    def _compare(self, name: str, theirs: Facts) -> None:
        names = differing(self._facts, theirs)
        if PLACE in names:
            raise StartError(
                "another tmpenv of this instance runs processes on another machine or in another "
                "state directory, which this one cannot see; use docker, or another --instance"
            )
        told = (name, *names)
        if names and told not in self._told:
            self._told.add(told)
            log.warning(
                "Another tmpenv of this instance has other settings",
                extra={
                    "event": "replicas.disagree",
                    "replica": name,
                    "settings": ", ".join(names),
                },
            )


def _flat(settings: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", one) for key, one in value.items())
        else:
            yield name, value


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
