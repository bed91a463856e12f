"""Peers whose routes are put over configurable-http-proxy's REST API, many at once."""

import asyncio
import json
from abc import ABC
from collections.abc import Mapping, Sequence

from tests.peers.peer import HOST, Peer
from tests.serving import free_port

TOKEN = "the-token-of-all-peers"
_AT_ONCE = 100


class RestPeer(Peer, ABC):
    """A peer with that API; its command has :meth:`flags` among its own."""

    def flags(self) -> Sequence[str]:
        self.api_port = free_port()
        listen = ["--ip", HOST, "--port", str(self.port)]
        return [*listen, "--api-ip", HOST, "--api-port", str(self.api_port)]

    def variables(self) -> Mapping[str, str]:
        return {"CONFIGPROXY_AUTH_TOKEN": TOKEN}

    async def lead(self) -> None:
        await self.until_listening(self.api_port)
        await put_routes(self.api_port, self.ids, f"http://{HOST}:{self.upstream_port}")


async def put_routes(port: int, ids: Sequence[str], target: str) -> None:
    """Lead ``/user/<id>`` of each id to ``target``.

    Requests are pipelined: a hundred thousand of them take seconds, not minutes.
    """
    reader, writer = await asyncio.open_connection(HOST, port)
    body = json.dumps({"target": target})
    for start in range(0, len(ids), _AT_ONCE):
        names = ids[start : start + _AT_ONCE]
        writer.write("".join(_request(name, body) for name in names).encode())
        for name in names:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 201 "), (name, head)
            if b"transfer-encoding: chunked" in head.lower():
                await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    await writer.wait_closed()


def _request(name: str, body: str) -> str:
    return (
        f"POST /api/routes/user/{name} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: token {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )
