"""Know the templates and pools of an instance: the configured ones and those put since.

The one rule: what the configuration declares wins, for its own names. The rest
is kept in the store; every process follows it there and goes on with what it
knew last while the store does not answer. A change replaces spares
(:mod:`spawner.pool`), never a session, which goes on by its record.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from spawner.errors import StoreUnavailable, TemplateChanged, TemplateDeclared, UnknownTemplate
from spawner.model import Pool, Template
from spawner.store.recipes import Outcome, Recipe, RecipeStore

log = logging.getLogger(__name__)

T = TypeVar("T")
#: The longest time between two looks, should a change be missed or the store be emptied.
REREAD_S = 5.0
RETRY_S = 0.5
#: So often a change that others overtake is made anew.
_TRIES = 20
#: What holds where a template has no pool of its own.
UNPOOLED = Pool(spare=0)


class Catalogue:
    """The recipes of one instance as this process knows them.

    Its state is ``recipes``, which is replaced whole at each change, so that who
    walks through it sees one moment.
    """

    def __init__(
        self,
        store: RecipeStore,
        templates: Mapping[str, Template],
        pools: Mapping[str, Pool],
        *,
        unpooled: Pool = UNPOOLED,
    ) -> None:
        """Bind; ``templates`` and ``pools`` are the declared ones.

        ``unpooled`` says how many there may be of a template that has no pool.
        """
        self._store = store
        self._feed = store.feed()
        self._feed.listen(self._hear)
        self._declared = {name: Recipe(one, pools[name]) for name, one in templates.items()}
        self._kept: dict[str, Recipe] = {}
        self._writes = 0
        self._wake = asyncio.Event()
        self._is_read = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []
        self.recipes: Mapping[str, Recipe] = self._declared
        self.templates: Mapping[str, Template] = _View(self, lambda recipe: recipe.template)
        #: What holds for each template, also for one without a pool of its own.
        self.pools: Mapping[str, Pool] = _View(self, lambda recipe: recipe.pool or unpooled)

    def declares(self, name: str) -> bool:
        """Say whether the configuration declares a template."""
        return name in self._declared

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after each change."""
        self._listeners.append(listener)

    def has_pool(self, name: str) -> bool:
        """Say whether a template has a pool of its own."""
        return self.recipes[name].pool is not None

    async def put(
        self,
        template: Template,
        pool: Pool | None = None,
        *,
        expected: int | None = None,
        wording: Mapping[str, Any] | None = None,
    ) -> Recipe:
        """Keep a template and its pool; without ``pool`` the one it has, if it has any.

        ``expected`` is the version that is to be replaced, 0 if there must be none;
        ``wording`` is kept with it as it is.

        Raises:
            TemplateDeclared: The configuration declares it.
            TemplateChanged: There is another version than the expected.
            StoreUnavailable
        """

        def replaced(known: Recipe | None) -> Recipe:
            kept = pool or (known.pool if known else None)
            return Recipe(template, kept, wording=wording or {})

        self._refuse_declared(template.name)
        recipe = await self._replace(template.name, replaced, expected)
        log.info("Template put", extra={"event": "template.put", "template": template.name})
        return recipe

    async def set_pool(self, name: str, pool: Pool | None) -> Recipe:
        """Give a template this pool, or none; of two changes at once, one is the last.

        Raises:
            TemplateDeclared: The configuration declares it, and so its pool.
            UnknownTemplate, TemplateChanged, StoreUnavailable
        """

        def resized(known: Recipe | None) -> Recipe:
            if known is None:
                raise UnknownTemplate(name)
            return replace(known, pool=pool)

        self._refuse_declared(name)
        recipe = await self._replace(name, resized, None, is_pool_alone=True)
        log.info("Pool changed", extra={"event": "pool.changed", "template": name})
        return recipe

    async def _replace(
        self,
        name: str,
        change: Callable[[Recipe | None], Recipe],
        expected: int | None,
        *,
        is_pool_alone: bool = False,
    ) -> Recipe:
        """Put what ``change`` makes of the recipe that is there, which nobody else changes between.

        Raises:
            TemplateChanged: It is not the expected version, or is changed all the time.
        """
        # One that this tmpenv cannot read is replaced as well, since it is known to be there.
        unread: int | None = 0
        for _ in range(_TRIES):
            known = self._kept.get(name)
            wanted = change(known)
            seen = known.version if known else unread
            outcome, recipe = await self._store.put(
                wanted,
                expected=seen if expected is None else expected,
                is_pool_alone=is_pool_alone,
            )
            if outcome is Outcome.DONE:
                newer = self._kept.get(name)
                if newer is None or newer.version < recipe.version:
                    self._note({**self._kept, name: recipe})
                return recipe
            if expected is not None:
                break
            unread = None
            await self.read()
        raise TemplateChanged(name)

    async def remove(self, name: str, *, expected: int | None = None) -> None:
        """Keep a template no more: its spares end, its sessions go on.

        Raises:
            TemplateDeclared, TemplateChanged, UnknownTemplate, StoreUnavailable
        """
        self._refuse_declared(name)
        outcome = await self._store.remove(name, expected=expected)
        if outcome is Outcome.MISSING:
            raise UnknownTemplate(name)
        if outcome is not Outcome.DONE:
            raise TemplateChanged(name)
        self._note({key: one for key, one in self._kept.items() if key != name})
        log.info("Template removed", extra={"event": "template.removed", "template": name})

    async def read(self) -> None:
        """Read what the store keeps.

        Raises:
            StoreUnavailable: What was known stays.
        """
        writes = self._writes
        found = await self._store.all()
        if writes != self._writes:
            # Read before a change of our own: only the next reading is sure to know it.
            self._wake.set()
            return
        kept = {name: one or self._kept.get(name) for name, one in found.items()}
        self._apply({name: one for name, one in kept.items() if one is not None})
        self._is_read.set()

    async def until_read(self) -> None:
        """Wait until the store was read once: before, a name unknown here may be there."""
        await self._is_read.wait()

    async def run(self) -> None:
        """Follow the store until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed.run())
            while True:
                self._wake.clear()
                pause_s = REREAD_S
                try:
                    await self.read()
                except StoreUnavailable:
                    pause_s = RETRY_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()

    def _hear(self, _name: str | None) -> None:
        self._wake.set()

    def _refuse_declared(self, name: str) -> None:
        if self.declares(name):
            raise TemplateDeclared(name)

    def _note(self, kept: dict[str, Recipe]) -> None:
        """Take over a change of our own."""
        self._writes += 1
        self._apply(kept)

    def _apply(self, kept: dict[str, Recipe]) -> None:
        if kept == self._kept:
            return
        for name in sorted(self._kept.keys() - kept.keys()):
            log.warning("A template is gone", extra={"event": "template.gone", "template": name})
        for name in sorted((kept.keys() - self._kept.keys()) & self._declared.keys()):
            log.warning(
                "The configuration declares a template that was put as well; its own is used",
                extra={"event": "template.hidden", "template": name},
            )
        self._kept = kept
        # Declared ones stand first, and what is kept under one of their names is not seen.
        self.recipes = {**self._declared, **kept, **self._declared}
        for listener in self._listeners:
            listener()


class _View(Mapping[str, T]):
    """One part of each recipe, as it is at the moment."""

    def __init__(self, catalogue: Catalogue, part: Callable[[Recipe], T]) -> None:
        self._catalogue = catalogue
        self._part = part

    def __getitem__(self, name: str) -> T:
        return self._part(self._catalogue.recipes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalogue.recipes)

    def __len__(self) -> int:
        return len(self._catalogue.recipes)
