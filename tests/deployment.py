"""One tmpenv process' core in a test: the real store and loops, on any backend."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

import aiohttp

from spawner.backends.base import Backend
from spawner.catalogue import Catalogue
from spawner.core import Core
from spawner.identity import Tokens
from spawner.keeper import Duty
from spawner.model import Environment, Phase, Pool, PoolStatus, Template
from spawner.recorder import UNRECORDED, Recorder
from spawner.service import Service
from spawner.store.connection import Connection
from spawner.store.keys import Keys
from spawner.store.recipes import RecipeStore
from spawner.store.store import Store
from tests.waiting import eventually

SECRET = "the secret of all tests"


class Deployment:
    """Runs a core while entered; leave without a word by :meth:`crash`."""

    def __init__(
        self,
        url: str,
        instance: str,
        backend: Backend,
        *,
        templates: tuple[Template, ...] = (Template(name="t"),),
        pool: Pool | None = None,
        max_starting: int = 8,
        mount: str = "/",
        holder: str = "",
        duties: tuple[Duty, ...] = (),
        recorder: Recorder = UNRECORDED,
    ) -> None:
        self.backend = backend
        self._url = url
        self._instance = instance
        self._templates = {template.name: template for template in templates}
        self._pools = {name: pool or Pool(size=2) for name in self._templates}
        self._max_starting = max_starting
        self._mount = mount
        self._holder = holder
        self._duties = duties
        self._recorder = recorder

    async def __aenter__(self) -> Self:
        self.connection = Connection(self._url, Keys(self._instance), self._recorder)
        self.session = aiohttp.ClientSession()
        self.core = Core(
            self.connection,
            self.backend,
            Tokens(SECRET),
            self.session,
            catalogue=Catalogue(RecipeStore(self.connection), self._templates, self._pools),
            max_starting=self._max_starting,
            mount=self._mount,
            holder=self._holder,
            duties=self._duties,
            recorder=self._recorder,
        )
        self._task = asyncio.create_task(self.core.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.session.close()
        await self.connection.close()

    @property
    def service(self) -> Service:
        return self.core.service

    @property
    def store(self) -> Store:
        return self.core.store

    async def status(self, template: str = "t") -> PoolStatus:
        (status,) = await self.store.census([template])
        return status

    async def until_spares(self, number: int, template: str = "t") -> None:
        async def are_there() -> bool:
            return (await self.status(template)).spares == number

        await eventually(are_there)

    async def until_phase(self, environment_id: str, phase: Phase) -> Environment:
        async def is_there() -> Environment | None:
            environment = await self.service.find(environment_id)
            return environment if environment and environment.phase is phase else None

        found = await eventually(is_there)
        assert found is not None
        return found
