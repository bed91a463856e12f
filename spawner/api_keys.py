"""The keys of an instance's API: named, good for some things, for some time.

A key is ``tmpenv_<name>_<secret>``. The one rule: only a hash of it is kept, so
who reads the store has no key. The secret has 256 random bits, so a fast hash
does: there is nothing to guess.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from spawner.errors import KeyExists, UnknownKey
from spawner.store.api_keys import ApiKeyStore, KeptKey

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,38}[a-z0-9])?")
_KEY = re.compile(rf"tmpenv_({_NAME.pattern})_([A-Za-z0-9-]{{40,60}})")
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Holder:
    """Who shows a key, and what it is good for."""

    name: str
    scopes: frozenset[str]


def is_key_name(text: str) -> bool:
    """Say whether a key can have this name."""
    return _NAME.fullmatch(text) is not None


class ApiKeys:
    """Makes keys, knows them again, and takes them back."""

    def __init__(self, store: ApiKeyStore) -> None:
        self._store = store

    async def make(
        self, name: str, scopes: Iterable[str], life: timedelta | None
    ) -> tuple[str, KeptKey]:
        """Make a key and give it, which nobody can ever again; ``life`` of None never ends.

        Raises:
            KeyExists: There is one of that name, though it may have expired.
            StoreUnavailable
        """
        assert is_key_name(name), name
        # An underscore parts the name from the secret, so it has none itself.
        secret = secrets.token_urlsafe(_SECRET_BYTES).replace("_", "-")
        key = f"tmpenv_{name}_{secret}"
        kept = await self._store.add(name, _digest(key), sorted(scopes), life)
        if kept is None:
            raise KeyExists(name)
        return key, kept

    async def holder(self, key: str) -> Holder | None:
        """Say who shows a key; None for one that is not, or no longer, a key of this instance.

        Asks nothing for what cannot be one.

        Raises:
            StoreUnavailable: Could not ask.
        """
        found = _KEY.fullmatch(key)
        if found is None:
            return None
        kept, now = await self._store.find(found[1])
        if kept is None or not hmac.compare_digest(kept.digest, _digest(key)):
            return None
        return None if has_expired(kept, now) else Holder(kept.name, frozenset(kept.scopes))

    async def all(self) -> tuple[list[KeptKey], datetime]:
        """List what is kept of all keys, and the store's time.

        Raises:
            StoreUnavailable
        """
        return await self._store.all()

    async def revoke(self, name: str) -> None:
        """Take a key back; it opens nothing from then on.

        Raises:
            UnknownKey, StoreUnavailable
        """
        if not await self._store.remove(name):
            raise UnknownKey(name)


def has_expired(key: KeptKey, now: datetime) -> bool:
    """Say whether a key's time is over."""
    return key.expires_at is not None and key.expires_at <= now


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
