"""``tmpenv serve`` and ``tmpenv proxy`` among the peers.

``tmpenv serve`` is the real command on a Redis of its own. Its routes are told
to it as they always are, as hand-outs on the store's channel, so there may be a
hundred thousand of them without as many environments.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import aiohttp
from redis.asyncio import Redis

from spawner.model import Phase
from spawner.store.keys import Keys
from tests.peers.peer import HOST, Peer
from tests.peers.rest_api import TOKEN, put_routes
from tests.redis_server import RedisServer
from tests.serving import COMMAND, free_port
from tests.waiting import eventually

_INSTANCE = "peer"
_AT_ONCE = 1000
#: An environment that comes and goes: when its end is known, all before it is.
_LAST = "last"
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


class TmpenvProxy(Peer):
    """The data path alone, with its routes put over the REST API."""

    name = "tmpenv-proxy"
    component = "redis-server"

    def command(self) -> Sequence[str]:
        self.api_port = free_port()
        listen = ["--ip", HOST, "--port", str(self.port), "--api-port", str(self.api_port)]
        return [COMMAND, "proxy", *listen]

    def variables(self) -> Mapping[str, str]:
        return {"CONFIGPROXY_AUTH_TOKEN": TOKEN}

    async def lead(self) -> None:
        await put_routes(self.api_port, self.ids, f"http://{HOST}:{self.upstream_port}")


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
        channel = Keys(_INSTANCE).events
        async with Redis.from_url(self.redis.url) as client:

            async def is_heard() -> bool:
                return bool((await client.pubsub_numsub(channel))[0][1])

            await eventually(is_heard)
            events = [*self._events()]
            for start in range(0, len(events), _AT_ONCE):
                async with client.pipeline(transaction=False) as pipeline:
                    for event in events[start : start + _AT_ONCE]:
                        pipeline.publish(channel, event)
                    await pipeline.execute()
        await eventually(self._knows_all, within=60)

    def _events(self) -> Iterator[str]:
        for name in self.ids:
            yield self._event(name, Phase.ASSIGNED, 1)
        yield self._event(_LAST, Phase.ASSIGNED, 1)
        yield self._event(_LAST, Phase.STOPPED, 2)

    def _event(self, name: str, phase: Phase, version: int) -> str:
        """Write what ``publish`` in the store's scripts would."""
        facts = {"host": HOST, "port": self.upstream_port, "auth": "proxy", "ticket": ""}
        return json.dumps(
            {**facts, "id": name, "template": "peer", "phase": phase, "version": version}
            | {"reason": _LAST if phase is Phase.STOPPED else ""}
        )

    async def _knows_all(self) -> bool:
        url = f"http://{HOST}:{self.port}/user/{_LAST}/"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status == 410 and (await response.json())["reason"] == _LAST
