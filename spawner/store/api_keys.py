"""Keep what is known of API keys: a hash of each, never the key."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from spawner.store.connection import Connection

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptKey:
    """What is kept of a key. Times are the store's clock."""

    name: str
    digest: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None


class ApiKeyStore:
    """The keys of one instance.

    Every method raises :class:`~spawner.errors.StoreUnavailable` when no answer came.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._key = f"{connection.keys.prefix}apikeys"

    async def add(
        self, name: str, digest: str, scopes: Sequence[str], life: timedelta | None
    ) -> KeptKey | None:
        """Keep a key; None if there is one of its name."""
        async with self._connection.answers():
            now = _moment(await self._connection.client.time())
            key = KeptKey(name, digest, tuple(scopes), now, now + life if life else None)
            is_kept = await self._connection.client.hsetnx(self._key, name, _written(key))
        return key if is_kept else None

    async def find(self, name: str) -> tuple[KeptKey | None, datetime]:
        """Read what is kept under a name, and the time."""
        async with self._connection.answers():
            asked = self._connection.client.pipeline(transaction=False)
            text, now = await asked.hget(self._key, name).time().execute()
        return (_read(name, text) if text else None), _moment(now)

    async def all(self) -> tuple[list[KeptKey], datetime]:
        """Read all, by name, and the time."""
        async with self._connection.answers():
            asked = self._connection.client.pipeline(transaction=False)
            kept, now = await asked.hgetall(self._key).time().execute()
        read = (_read(name, kept[name]) for name in sorted(kept))
        return [one for one in read if one], _moment(now)

    async def remove(self, name: str) -> bool:
        """Forget a key; False if there is none of that name."""
        async with self._connection.answers():
            return bool(await self._connection.client.hdel(self._key, name))


def _moment(time: tuple[int, int]) -> datetime:
    return datetime.fromtimestamp(time[0] + time[1] / 1e6, UTC)


def _written(key: KeptKey) -> str:
    facts = {
        "digest": key.digest,
        "scopes": key.scopes,
        "created": key.created_at.timestamp(),
        "expires": key.expires_at and key.expires_at.timestamp(),
    }
    return json.dumps(facts)


def _read(name: str, text: str) -> KeptKey | None:
    try:
        facts = json.loads(text)
        expires = facts["expires"]
        return KeptKey(
            name,
            facts["digest"],
            tuple(facts["scopes"]),
            datetime.fromtimestamp(facts["created"], UTC),
            None if expires is None else datetime.fromtimestamp(expires, UTC),
        )
    except (ValueError, KeyError, TypeError):
        log.error(  # noqa: TRY400  # what is kept of a key belongs in no log
            "A key in the store cannot be read; it opens nothing",
            extra={"event": "key.unreadable", "key": name},
        )
        return None
