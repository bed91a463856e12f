"""Keep the templates and pools that were put while tmpenv runs, for all replicas and restarts."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from spawner.model import Pool, Template
from spawner.store.connection import Connection
from spawner.store.feed import Feed
from spawner.store.records import from_ms

log = logging.getLogger(__name__)

_TIMES = ("created_at", "modified_at")

#: Gives the name of each recipe that was put or taken away; None when some may have been missed.
RecipeFeed = Feed[str | None]


class Outcome(StrEnum):
    """What became of a change."""

    DONE = "done"
    MISSING = "missing"  # there is nothing of that name
    OTHER = "other"  # it is not the version that was meant


@dataclass(frozen=True, slots=True)
class Recipe:
    """A template, its pool, and which version of them this is."""

    template: Template
    #: None where it was put without one: each launch starts an environment anew.
    pool: Pool | None
    #: Another one after each change; 0 for what the configuration declares.
    version: int = 0
    #: When the template was first put, and when last; None where nobody noted it.
    created_at: datetime | None = None
    modified_at: datetime | None = None
    #: The template in the words of whoever put it, who reads them again; the core never does.
    wording: Mapping[str, Any] = field(default_factory=dict)


class RecipeStore:
    """Every step that changes what is kept, and the question what that is.

    Every method raises :class:`~spawner.errors.StoreUnavailable` when no answer came.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def feed(self) -> RecipeFeed:
        """Make a feed of the changes."""
        return Feed(self._connection, f"{self._connection.keys.recipes}:changed", lambda name: name)

    async def put(
        self,
        recipe: Recipe,
        *,
        expected: int | None,
        is_pool_alone: bool = False,
    ) -> tuple[Outcome, Recipe]:
        """Keep a recipe in place of version ``expected``, 0 for none and None for whatever.

        With ``is_pool_alone`` the template counts as not modified. Where it is done, the
        recipe that is given has the version and the times that now stand there.
        """
        template, pool = recipe.template, recipe.pool
        facts = {
            "template": template.model_dump(mode="json", exclude_defaults=True),
            "pool": pool and pool.model_dump(mode="json", exclude_defaults=True),
            "wording": recipe.wording,
        }
        outcome, version, created, modified = await self._connection.run(
            "recipe_put",
            template.name,
            json.dumps(facts),
            "" if expected is None else expected,
            int(is_pool_alone),
        )
        stands = replace(
            recipe,
            version=int(version),
            created_at=from_ms(created),
            modified_at=from_ms(modified),
        )
        return Outcome(outcome), stands

    async def remove(self, name: str, *, expected: int | None) -> Outcome:
        """Keep a recipe no more."""
        return Outcome(
            await self._connection.run("recipe_remove", name, "" if expected is None else expected)
        )

    async def all(self) -> dict[str, Recipe | None]:
        """Read all recipes, by name; None for one that only a newer tmpenv can read."""
        async with self._connection.answers():
            kept = await self._connection.client.hgetall(self._connection.keys.recipes)
        return {name: _read(name, kept[name]) for name in sorted(kept)}


def _read(name: str, text: str) -> Recipe | None:
    version, _, facts = text.partition(" ")
    try:
        parts: dict[str, Any] = json.loads(facts)
        template = Template(**{**parts["template"], "name": name})
        pool = None if parts["pool"] is None else Pool(**parts["pool"])
        # What an older tmpenv put has no times.
        created, modified = (from_ms(parts[at]) if at in parts else None for at in _TIMES)
        return Recipe(template, pool, int(version), created, modified, parts.get("wording", {}))
    except (ValueError, ValidationError, KeyError, TypeError):
        # Its text may hold secrets, and so may the error.
        log.error(  # noqa: TRY400
            "A template in the store cannot be read; it is left as it is",
            extra={"event": "template.unreadable", "template": name},
        )
        return None
