"""Put the parts of the core together.

One :class:`Core` is one process' share of an instance: it serves visitors at
once, and runs the loops whenever it holds the lease.
"""

import asyncio
from collections.abc import Sequence

import aiohttp

from spawner.api_keys import ApiKeys
from spawner.backends.base import Backend
from spawner.backends.recorded import recorded
from spawner.builder.builds import Builds
from spawner.catalogue import Catalogue
from spawner.drain import Drain
from spawner.ending import Ending
from spawner.holder import name_process
from spawner.identity import Tokens
from spawner.keeper import Duty, Keeper
from spawner.last_words import LastWords
from spawner.launch import Launches
from spawner.preloads import Preloads
from spawner.reconcile import Reconcile
from spawner.recorder import UNRECORDED, Recorder
from spawner.refill import Refill
from spawner.service import Service
from spawner.starting import Starter
from spawner.store.api_keys import ApiKeyStore
from spawner.store.connection import Connection
from spawner.store.feed import Feed
from spawner.store.preloads import PreloadStore
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
        catalogue: Catalogue,
        max_starting: int,
        mount: str = "/",
        duties: Sequence[Duty] = (),
        builds: Builds | None = None,
        holder: str = "",
        recorder: Recorder = UNRECORDED,
    ) -> None:
        """Bind everything; nothing runs yet.

        ``mount`` is the path under which the whole service is found; ``duties``
        are further loops to run under the lease; without ``builds`` no images are made.
        """
        backend = recorded(backend, recorder)
        self._builds = builds
        if builds is not None:
            duties = (*duties, builds.run, builds.tidy)
        self.store = Store(connection)
        self.catalogue = catalogue
        self.feed = Feed(connection, connection.keys.events, read_event)
        templates, pools = catalogue.templates, catalogue.pools
        launches = Launches(self.store, pools, mount, recorder)
        last_words = LastWords(backend, tokens)
        starter = Starter(self.store, backend, tokens, session, last_words, mount, recorder)
        refill = Refill(
            self.store,
            backend,
            starter,
            templates=templates,
            pools=pools,
            max_starting=max_starting,
        )
        #: Returns from ``run`` when this process is to end.
        self.drain = Drain(self.store)
        ending = Ending(self.store, backend, templates)
        self.reconcile = Reconcile(self.store, backend, last_words, templates, recorder)
        for listener in (launches.hear, refill.hear, ending.hear):
            self.feed.listen(listener)
        catalogue.listen(refill.change)
        self.keeper = Keeper(
            self.store,
            holder or name_process(),
            (refill.run, ending.run, self.reconcile.run, self.reconcile.watch, *duties),
        )
        self.preloads = Preloads(PreloadStore(connection), backend)
        self.service = Service(
            self.store,
            backend,
            tokens,
            catalogue=catalogue,
            launches=launches,
            drain=self.drain,
            preloads=self.preloads,
            builds=builds,
            api_keys=ApiKeys(ApiKeyStore(connection)),
        )

    async def run(self) -> None:
        """Work until cancelled. Environments go on running after that."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.feed.run())
            group.create_task(self.catalogue.run())
            if self._builds is not None:
                group.create_task(self._builds.listen())
            group.create_task(self.preloads.run())
            # Spares of a template that is not known yet are not those of one that is gone.
            await self.catalogue.until_read()
            group.create_task(self.keeper.run())
