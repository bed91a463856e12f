"""Keep what became of preparing templates ahead of their first launch, for all replicas."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from spawner.store.connection import Connection
from spawner.store.records import from_ms, read_time, to_ms

State = Literal["loading", "completed", "failed"]
#: One that loads is noted again and again; what a crash cut short is forgotten after this.
LOADING_S = 60
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Preload:
    """One preparation of a template."""

    template: str
    state: State
    began_at: datetime
    #: While it loads: how that goes; after a failure: why.
    detail: str = ""


class PreloadStore:
    """What is known of preparations.

    Every method raises :class:`~spawner.errors.StoreUnavailable` when no answer came.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def note(self, preload: Preload) -> None:
        """Keep how one goes or went."""
        facts = [preload.state, to_ms(preload.began_at), preload.detail]
        kept_s = LOADING_S if preload.state == "loading" else _DAY_S
        async with self._connection.answers():
            await self._connection.client.set(
                self._connection.keys.preload(preload.template), json.dumps(facts), ex=kept_s
            )

    async def find(self, template: str) -> Preload | None:
        """Give the last one of a template; None where none is known."""
        async with self._connection.answers():
            kept = await self._connection.client.get(self._connection.keys.preload(template))
        if kept is None:
            return None
        state, began, detail = json.loads(kept)
        return Preload(template=template, state=state, began_at=from_ms(began), detail=detail)

    async def now(self) -> datetime:
        """Read the clock by which they are told, as finely as it is kept."""
        async with self._connection.answers():
            now = read_time(*await self._connection.client.time())
        return from_ms(to_ms(now))
