"""Binder's own client, binder-client 1.0.3 of npm, driven as people and programs drive it.

It is not changed in any way. It takes no answer but 200 for a success and no other but 403
for a refusal, follows no redirect, and ends with 0 also where it failed: look at what it says.
"""

import asyncio
import json
import os
from dataclasses import dataclass
from typing import Any

from tests.components import BINDER_CLIENT

_CALL = """
const binder = require("binder-client");
const [group, name, options] = process.argv.slice(1);
binder[group][name](JSON.parse(options), (error, body) =>
  console.log(JSON.stringify(error ? { error: error.message } : { body })));
"""


class BinderError(Exception):
    """What the client told of a failure."""


@dataclass(frozen=True, slots=True)
class BinderClient:
    """The client, pointed at a server; a ``prefix`` like "/api" goes before each path."""

    port: int
    api_key: str
    prefix: str = ""

    async def command(self, *words: str) -> str:
        """Run ``binder``, and give all that it printed."""
        binder = str(BINDER_CLIENT / ".bin" / "binder")
        where = ("--host=127.0.0.1", f"--port={self._port}", f"--api-key={self.api_key}")
        return await _run("node", binder, *words, *where)

    async def told(self, *words: str) -> Any:
        """Run ``binder``, and give the JSON among what it printed.

        Raises:
            BinderError: There is none.
        """
        printed = await self.command(*words)
        begins = [at for at in (printed.find("{"), printed.find("[")) if at >= 0]
        if not begins:
            raise BinderError(printed)
        return json.JSONDecoder().raw_decode(printed[min(begins) :])[0]

    async def call(self, group: str, name: str, **parameters: Any) -> Any:
        """Call a function of its JavaScript, and give the body that it was answered.

        Raises:
            BinderError: It was called back with an error.
        """
        options = {
            "host": "127.0.0.1",
            "port": self._port,
            "api-key": self.api_key,
            # It wants every parameter, also those that may be left out.
            **{key.replace("_", "-"): value for key, value in parameters.items()},
        }
        printed = await _run("node", "-e", _CALL, group, name, json.dumps(options))
        answer = json.loads(printed)
        if "error" in answer:
            raise BinderError(answer["error"])
        return answer["body"]

    @property
    def _port(self) -> str:
        # It puts the port before each path as it is.
        return f"{self.port}{self.prefix}"


async def _run(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "NODE_PATH": str(BINDER_CLIENT), "NO_COLOR": "1"},
    )
    async with asyncio.timeout(60):
        printed, _ = await process.communicate()
    return printed.decode()
