"""Agree on the secret from which the tokens of environments derive.

It stands in the store, for all processes of the instance, and in a file of
each, so that environments whose records were lost with the store are found
again with the tokens that they were started with.
"""

import asyncio
from pathlib import Path

from spawner.store.store import Store
from web.key_files import read_or_make_key, write_key

#: How long an emptied store may be without it.
PAUSE_S = 10.0


class SharedSecret:
    """One process' copy."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        self._path = path
        self._secret = ""

    async def agree(self) -> str:
        """Give the secret that all use; ours, if there was none.

        Raises:
            StoreUnavailable: Nobody can agree without it.
            StartError: It cannot be kept in the file.
        """
        own = read_or_make_key(self._path)
        self._secret = await self._store.share_secret(own)
        if self._secret != own:
            write_key(self._path, self._secret)
        return self._secret

    async def keep(self, fence: int) -> None:  # noqa: ARG002  # a duty; the first to write wins
        """Put it back, again and again, should the store have been emptied."""
        while True:
            await self._store.share_secret(self._secret)
            await asyncio.sleep(PAUSE_S)
