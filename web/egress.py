"""Say which environment asks for a way out, and what its template lists.

The template is asked as it is now: what an operator strikes from a list is struck for
those that run.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from spawner.egress import Network, Reach
from spawner.identity import Tokens
from spawner.model import Phase, Template
from spawner.store.store import Store

_GONE = {Phase.STOPPED, Phase.FAILED}


class EgressLists:
    """The lists of all templates, as one proxy's gatekeeper."""

    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        templates: Callable[[], Mapping[str, Template]],
        denied: Iterable[Network],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._templates = templates
        self._denied = tuple(denied)
        self._reach = lru_cache(maxsize=256)(self._read)

    async def admit(self, user: str, key: str) -> Reach | None:
        """Give what the environment with this id and key may reach; None if it is none.

        Raises:
            StoreUnavailable: It cannot be said at the moment.
        """
        if not hmac.compare_digest(self._tokens.egress(user).encode(), key.encode()):
            return None
        environment = await self._store.find(user)
        if environment is None or environment.phase in _GONE:
            return None
        template = self._templates().get(environment.template)
        if template is None or isinstance(template.egress, str):
            return None
        return self._reach(template.egress)

    def _read(self, entries: tuple[str, ...]) -> Reach:
        return Reach(entries, self._denied)
