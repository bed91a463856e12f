"""A way to the Docker daemon that is cut after so many changes, as a crash would cut it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web

_DAEMON = "/var/run/docker.sock"
_HOP = {"transfer-encoding", "content-length", "connection", "content-encoding"}


@dataclass
class CutDocker:
    """Passes requests on, until ``left`` changes have been made."""

    url: str
    left: int
    #: What was changed, like "POST /networks/create".
    made: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        is_change = request.method != "GET"
        if self.left <= 0:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(_DAEMON)) as session:
            answer = await session.request(
                request.method,
                f"http://docker{request.raw_path}",
                data=await request.read(),
                headers={"Content-Type": request.content_type},
            )
            body = await answer.read()
        if is_change:
            self.left -= 1
            self.made.append(f"{request.method} {request.path}")
        headers = {key: one for key, one in answer.headers.items() if key.lower() not in _HOP}
        return web.Response(status=answer.status, body=body, headers=headers)


@asynccontextmanager
async def cut_docker(directory: Path, after: int) -> AsyncIterator[CutDocker]:
    """Serve such a way on a socket in a directory."""
    path = directory / f"cut-{after}.sock"
    daemon = CutDocker(f"unix://{path}", after)
    application = web.Application(client_max_size=1 << 24)
    application.router.add_route("*", "/{path:.*}", daemon.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    try:
        yield daemon
    finally:
        await runner.cleanup()
