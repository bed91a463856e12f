"""Put the core together: who hears of what, and which loops run under the lease.

Everything is built from a store, a backend and the recipes, so that tests put
it together just as ``tmpenv serve`` does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp

from culler.loop import Culler
from culler.policy import CullingSettings
from spawner.backends.base import Backend
from spawner.ending import Ending
from spawner.holder import name_process
from spawner.identity import Tokens
from spawner.keeper import Keeper
from spawner.launch import Launches
from spawner.model import Pool, Template
from spawner.reconcile import Reconcile
from spawner.refill import Refill
from spawner.service import Service
from spawner.starting import Starter
from spawner.store.feed import Feed
from spawner.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipes:
    """What this instance runs, and how many of each."""

    templates: Mapping[str, Template]
    pools: Mapping[str, Pool]
    max_starting: int
    culling: CullingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Core:
    """The parts of the core that others touch."""

    service: Service
    store: Store
    feed: Feed
    keeper: Keeper
    reconcile: Reconcile

    async def run(self) -> None:
        """Hear of changes, and keep the pools while the lease is ours; until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.feed.run())
            group.create_task(self.keeper.run())


def assemble(
    store: Store,
    feed: Feed,
    backend: Backend,
    *,
    tokens: Tokens,
    recipes: Recipes,
    session: aiohttp.ClientSession,
    flush: Callable[[], Awaitable[None]],
) -> Core:
    """Put the core together; nothing runs yet.

    ``session`` asks environments whether they are ready and what their
    kernels do; ``flush`` writes down the activity that the edge has seen.
    """
    templates, pools = recipes.templates, recipes.pools
    launches = Launches(store, pools)
    refill = Refill(
        store,
        backend,
        Starter(store, backend, tokens, session),
        templates=templates,
        pools=pools,
        max_starting=recipes.max_starting,
    )
    ending = Ending(store, backend, templates)
    reconcile = Reconcile(store, backend, templates)
    culler = Culler(
        store=store,
        tokens=tokens,
        session=session,
        templates=templates,
        settings=recipes.culling,
        flush=flush,
    )
    for listener in (launches.hear, refill.hear, ending.hear):
        feed.listen(listener)
    duties = (refill.run, ending.run, reconcile.run, reconcile.watch, culler.run)
    return Core(
        service=Service(
            store, backend, tokens, templates=templates, pools=pools, launches=launches
        ),
        store=store,
        feed=feed,
        keeper=Keeper(store, name_process(), duties),
        reconcile=reconcile,
    )
