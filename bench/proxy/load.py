"""Make visitors: wrk for requests, :mod:`bench.proxy.websockets` for WebSockets.

A load is prepared first, and then does its work, so that what the preparing
costs the proxy can be left out.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.proxy.backends import Backend
from bench.proxy.browser import request_headers
from bench.proxy.scenarios import MIB, Echoes, Load, Requests

_SCRIPT = Path(__file__).with_name("wrk.lua")
#: Of many routes so many are visited, in turn.
_VISITED = 10


@dataclass(frozen=True, slots=True)
class Done:
    """What visitors saw."""

    units: float
    seconds: float
    p50_ms: float
    p99_ms: float


Work = Callable[[], Awaitable[Done]]


@asynccontextmanager
async def prepared(
    load: Load, port: int, ids: Sequence[str], backend: Backend, *, seconds: int
) -> AsyncIterator[Work]:
    """Prepare visitors of the proxy at ``port``; give what sets them to work."""
    visited = ids[:: max(1, len(ids) // _VISITED)][:_VISITED]
    if isinstance(load, Requests):
        seconds = max(seconds, load.least_seconds)
        yield lambda: _requests(load, port, visited, backend, seconds=seconds)
        return
    message_bytes = load.message_bytes if isinstance(load, Echoes) else 0
    flags = [
        *("--port", str(port), "--connections", str(load.connections)),
        *("--message-bytes", str(message_bytes), "--seconds", str(seconds)),
        *("--paths", *(f"/user/{name}/api/kernels/1/channels" for name in visited)),
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.proxy.websockets", *flags),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )

    async def next_step() -> Done:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\n")
        return Done(**json.loads(await process.stdout.readline()))

    try:
        if isinstance(load, Echoes):
            await next_step()
        yield next_step
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def _requests(
    load: Requests, port: int, visited: Sequence[str], backend: Backend, *, seconds: int
) -> Done:
    """Run wrk once."""
    rest = f"files/{load.download_bytes}" if load.download_bytes else "api/contents/work/a.ipynb"
    headers = request_headers(visited[0])
    if load.closes:
        headers["Connection"] = "close"
    flags = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    flags += ["-t", "1", "-c", str(load.connections), "-d", f"{seconds}s", "--timeout", "30s"]
    received = backend.received_bytes() if load.upload_bytes else 0
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-s", str(_SCRIPT), *flags, f"http://127.0.0.1:{port}"),
        stdout=asyncio.subprocess.PIPE,
        env={
            **os.environ,
            "PATHS": " ".join(f"/user/{name}/{rest}" for name in visited),
            "UPLOAD_BYTES": str(load.upload_bytes),
            "VARIED": "yes" if load.is_varied else "",
        },
    )
    output, _ = await process.communicate()
    facts = json.loads(output.decode().strip().rpartition("\n")[2])
    assert not process.returncode, output
    assert not facts["errors"], output
    assert facts["requests"], f"no request ended within {seconds} s: give it more --seconds"
    if load.upload_bytes:
        units = (backend.received_bytes() - received) / MIB
    else:
        units = facts["bytes"] / MIB if load.download_bytes else facts["requests"]
    return Done(units, facts["seconds"], facts["p50_ms"], facts["p99_ms"])
