"""Prepare templates ahead of their first launch: pull their images.

The one rule: each preparation is a task of :meth:`Preloads.run`, which sees it to its end
or cancels it. How it goes stands in the store, where every replica finds it; what a
crash cut short is soon forgotten there.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

from spawner.backends.base import Backend
from spawner.errors import ServiceError, StoreUnavailable
from spawner.model import Template
from spawner.store.preloads import LOADING_S, Preload, PreloadStore

log = logging.getLogger(__name__)

_NOTE_S = LOADING_S / 6


class Preloads:
    """The preparations of one process.

    Its state is the templates that it prepares at the moment.
    """

    def __init__(self, store: PreloadStore, backend: Backend) -> None:
        self._store = store
        self._backend = backend
        self._wanted: asyncio.Queue[tuple[Template, Preload]] = asyncio.Queue()
        self._loading: dict[str, Preload] = {}

    async def begin(self, template: Template) -> Preload:
        """Prepare a template aside; one that is being prepared is not prepared twice.

        Raises:
            StoreUnavailable
        """
        if template.name in self._loading:
            return self._loading[template.name]
        preload = Preload(template=template.name, state="loading", began_at=await self._store.now())
        # Somebody else may have asked while the clock was read.
        if template.name not in self._loading:
            self._loading[template.name] = preload
            self._wanted.put_nowait((template, preload))
        return self._loading[template.name]

    async def find(self, template: str) -> Preload | None:
        """Say how the last preparation of a template goes or went; None where none is known.

        Raises:
            StoreUnavailable
        """
        return self._loading.get(template) or await self._store.find(template)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._load(*await self._wanted.get()))

    async def _load(self, template: Template, preload: Preload) -> None:
        lines: list[str] = []
        noting = asyncio.create_task(self._note_while_it_loads(preload, lines))
        try:
            await self._backend.prepare(template, lines.append)
            done = replace(preload, state="completed")
        except ServiceError as error:
            done = replace(preload, state="failed", detail=str(error))
        except Exception:
            # A mistake in one must not cut off the others.
            log.exception("A preload failed", extra={"event": "preload.failed"})
            done = replace(preload, state="failed", detail="internal error")
        finally:
            noting.cancel()
            await asyncio.gather(noting, return_exceptions=True)
            del self._loading[template.name]
        log.info(
            "Template preloaded",
            extra={"event": "preload.ended", "template": template.name, "outcome": done.state},
        )
        with suppress(StoreUnavailable):
            await self._store.note(done)

    async def _note_while_it_loads(self, preload: Preload, lines: list[str]) -> None:
        """Say that it still loads, and the newest of ``lines``, to which the backend appends."""
        while True:
            with suppress(StoreUnavailable):
                await self._store.note(replace(preload, detail=lines[-1] if lines else ""))
            await asyncio.sleep(_NOTE_S)
