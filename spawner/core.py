"""Put the parts of the core together.

One :class:`Core` is one process' share of an instance: it serves visitors at
once, and runs the loops whenever it holds the lease.
"""

import asyncio
from collections.abc import Mapping, Sequence

import aiohttp

from spawner.backends.base import Backend
from spawner.ending import Ending
from spawner.holder import name_process
from spawner.identity import Tokens
from spawner.keeper import Duty, Keeper
from spawner.last_words import LastWords
from spawner.launch import Launches
from spawner.model import Pool, Template
from spawner.reconcile import Reconcile
from spawner.refill import Refill
from spawner.service import Service
from spawner.starting import Starter
from spawner.store.connection import Connection
from spawner.store.feed import Feed
from spawner.store.records import read_event
from spawner.store.store import Store


class Core:
    """The core of one process."""

    def __init__(
        self,
        connection: Connection,
        backend: Backend,
        tokens: Tokens,
        session: aiohttp.ClientSession,
        *,
        templates: Mapping[str, Template],
        pools: Mapping[str, Pool],
        max_starting: int,
        mount: str = "/",
        duties: Sequence[Duty] = (),
        holder: str = "",
    ) -> None:
        """Bind everything; nothing runs yet.

        ``mount`` is the path under which the whole service is found; ``duties``
        are further loops to run under the lease.
        """
        self.store = Store(connection)
        self.feed = Feed(connection, connection.keys.events, read_event)
        launches = Launches(self.store, pools, mount)
        last_words = LastWords(backend, tokens)
        starter = Starter(self.store, backend, tokens, session, last_words, mount)
        refill = Refill(
            self.store,
            backend,
            starter,
            templates=templates,
            pools=pools,
            max_starting=max_starting,
        )
        ending = Ending(self.store, backend, templates)
        self.reconcile = Reconcile(self.store, backend, last_words, templates)
        for listener in (launches.hear, refill.hear, ending.hear):
            self.feed.listen(listener)
        self.keeper = Keeper(
            self.store,
            holder or name_process(),
            (refill.run, ending.run, self.reconcile.run, self.reconcile.watch, *duties),
        )
        self.service = Service(
            self.store, backend, tokens, templates=templates, pools=pools, launches=launches
        )

    async def run(self) -> None:
        """Work until cancelled. Environments go on running after that."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.feed.run())
            group.create_task(self.keeper.run())
