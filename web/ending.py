"""End every environment when tmpenv itself ends (``on_exit = "stop"``)."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from spawner.backends.base import Backend
from spawner.ending import DEFAULT_GRACE
from spawner.errors import ServiceError, StoreUnavailable
from spawner.model import Phase, Template
from spawner.store.store import Store

log = logging.getLogger(__name__)

_REASON = "tmpenv stopped"


async def end_all(store: Store, backend: Backend, templates: Mapping[str, Template]) -> None:
    """End what runs, as well as can be.

    The records are marked first, so that whatever cannot be removed now is
    removed by the next start.
    """
    try:
        environments = await store.environments()
    except StoreUnavailable:
        log.warning("The environments go on", extra={"event": "exit.store_unavailable"})
        return

    async def end(environment_id: str, template: Template | None) -> None:
        grace = template.stop_grace if template else DEFAULT_GRACE
        with suppress(ServiceError):
            await store.finish(environment_id, Phase.DRAINING, _REASON)
            await backend.stop(environment_id, grace.total_seconds())

    await asyncio.gather(*(end(one.id, templates.get(one.template)) for one in environments))
    log.info("Ended all", extra={"event": "exit.ended", "environments": len(environments)})
