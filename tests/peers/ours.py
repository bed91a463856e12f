"""``tmpenv serve`` and ``tmpenv proxy`` among the peers.

``tmpenv serve`` is the real command on a Redis of its own. Its routes are told
to it as they always are, as hand-outs on the store's channel, so there may be a
hundred thousand of them without as many environments.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
from redis.asyncio import Redis

from spawner.model import Phase
from spawner.store.keys import Keys
from tests.peers.peer import HOST, START_TIMEOUT_S, Peer
from tests.peers.rest_api import RestPeer
from tests.redis_server import RedisServer
from tests.serving import COMMAND
from tests.waiting import eventually

_INSTANCE = "peer"
_AT_ONCE = 1000
#: Environments that come and go: when the end of one is known, all before it is.
_FIRST, _LAST = "first", "last"
_CONFIG = """
host = "{host}"
port = {port}
backend = "process"
state_dir = "{directory}"
instance = "{instance}"
redis_url = "{redis}"
log_level = "warning"
[templates.peer]
command = ["false"]
[pools.peer]
size = 0
"""


class TmpenvProxy(RestPeer):
    """The data path alone."""

    name = "tmpenv-proxy"
    component = "redis-server"

    def command(self) -> Sequence[str]:
        return [COMMAND, "proxy", *self.flags()]


class Tmpenv(Peer):
    """What visitors meet: routes by id, clocks that run, a token for each environment."""

    name = "tmpenv"
    component = "redis-server"
    redis: RedisServer

    def command(self) -> Sequence[str]:
        config = self.directory / "tmpenv.toml"
        config.write_text(
            _CONFIG.format(
                host=HOST,
                port=self.port,
                directory=self.directory,
                instance=_INSTANCE,
                redis=self.redis.url,
            )
        )
        return [COMMAND, "serve", "--config", str(config)]

    async def start(self) -> None:
        directory = Path(self.directory) / "redis"
        directory.mkdir(exist_ok=True)
        self.redis = RedisServer(directory)
        await asyncio.to_thread(self.redis.start)
        await super().start()

    async def stop(self) -> None:
        await super().stop()
        await asyncio.to_thread(self.redis.stop)

    async def lead(self) -> None:
        async with Redis.from_url(self.redis.url) as client:

            async def is_heard() -> bool:
                await self._publish(client, self._passing(_FIRST))
                return await self._knows(_FIRST)

            async def knows_all() -> bool:
                return await self._knows(_LAST)

            # What is published before the data path listens is lost.
            await eventually(is_heard, within=START_TIMEOUT_S)
            events = [self._event(name, Phase.ASSIGNED, 1) for name in self.ids]
            await self._publish(client, [*events, *self._passing(_LAST)])
            await eventually(knows_all, within=START_TIMEOUT_S)

    async def _publish(self, client: Any, events: Sequence[str]) -> None:
        for start in range(0, len(events), _AT_ONCE):
            async with client.pipeline(transaction=False) as pipeline:
                for event in events[start : start + _AT_ONCE]:
                    pipeline.publish(Keys(_INSTANCE).events, event)
                await pipeline.execute()

    def _passing(self, name: str) -> Sequence[str]:
        return (
            self._event(name, Phase.ASSIGNED, 1),
            self._event(name, Phase.STOPPED, 2, reason=name),
        )

    def _event(self, name: str, phase: Phase, version: int, reason: str = "") -> str:
        """Write what ``publish`` in the store's scripts would."""
        facts = {"id": name, "template": "peer", "phase": phase, "version": version}
        where = {"host": HOST, "port": self.upstream_port, "auth": "proxy"}
        return json.dumps({**facts, **where, "reason": reason, "ticket": ""})

    async def _knows(self, name: str) -> bool:
        """Ask for an environment that has come and gone."""
        url = f"http://{HOST}:{self.port}/user/{name}/"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return bool((await response.json())["reason"] == name)
