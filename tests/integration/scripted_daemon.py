"""A Docker daemon that answers what a test has written for it."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web


@dataclass
class Rule:
    """One answer, given so many times; for ever where negative."""

    words: list[str]
    status: int
    body: Any
    times: int


@dataclass
class ScriptedDaemon:
    """Answers each request by the first rule whose words all stand in its method and path."""

    url: str
    rules: list["Rule"] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    #: What was sent with each request to create a container.
    specs: list[Any] = field(default_factory=list)

    def answers(self, words: str, status: int, body: Any, *, times: int = -1) -> None:
        self.rules.insert(0, Rule(words.split(), status, body, times))

    async def handle(self, request: web.Request) -> web.Response:
        line = f"{request.method} {request.path}"
        self.asked.append(line)
        if line.endswith("/containers/create"):
            self.specs.append(await request.json())
        for rule in self.rules:
            if rule.times != 0 and all(word in line for word in rule.words):
                rule.times -= 1
                text = rule.body if isinstance(rule.body, str) else json.dumps(rule.body)
                answer = web.Response(status=rule.status, text=text)
                if isinstance(rule.body, str) and text:
                    answer.enable_chunked_encoding()  # as the daemon sends its streams
                return answer
        return web.json_response({"message": "nothing is scripted for this"}, status=500)


@asynccontextmanager
async def scripted_daemon(directory: Path) -> AsyncIterator[ScriptedDaemon]:
    path = directory / "docker.sock"
    daemon = ScriptedDaemon(f"unix://{path}")
    daemon.answers("GET /version", 200, {"ApiVersion": "1.41"})
    daemon.answers("GET /info", 200, {"Driver": "overlay2"})
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", daemon.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield daemon
    finally:
        await runner.cleanup()
