"""Each proxy that ours is compared with leads to the upstream, WebSockets too."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.components import require
from tests.integration.proxy.kit import Environment, Wire, get, header, status
from tests.peers.peer import Peer
from tests.peers.running import PEERS

UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


async def serve(wire: Wire) -> None:
    """Answer requests with what was asked; echo after an upgrade."""
    while True:
        head = await wire.reader.readuntil(b"\r\n\r\n")
        if b"upgrade: websocket" in head.lower():
            switch = f"HTTP/1.1 101 Switching\r\n{UPGRADE[0]}\r\n{UPGRADE[1]}\r\n{ACCEPT}\r\n\r\n"
            await wire.send(switch.encode())
            while data := await wire.reader.read(65536):
                await wire.send(data)
            return
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))


@pytest.fixture
async def upstream() -> AsyncIterator[Environment]:
    upstream = await Environment().start()
    upstream.script = serve
    yield upstream
    await upstream.stop()


@pytest.fixture(params=PEERS)
async def peer(
    request: pytest.FixtureRequest, tmp_path: Path, upstream: Environment
) -> AsyncIterator[Peer]:
    kind = PEERS[request.param]
    require(kind.component)
    async with kind(tmp_path, upstream.port, ("abc", "xyz")) as peer:
        yield peer


async def test_a_peer_leads_requests_and_websockets_to_the_upstream(peer: Peer) -> None:
    for name in peer.ids:
        wire = await Wire.open(peer.address)
        await wire.send(get(f"/user/{name}/a%2Fb?c", "X-Mine: 1"))
        head, body = await wire.response()
        assert status(head) == 200
        assert body.startswith(f"GET /user/{name}/a%2Fb?c HTTP/1.1\r\n".encode())
        assert header(body, b"x-mine") == [b"1"]
        assert header(body, b"x-forwarded-for") != []

        await wire.send(get(f"/user/{name}/ws", *UPGRADE, KEY))
        assert status(await wire.head()) == 101
        await wire.send(b"\x81\x82\0\0\0\0hi")
        assert await wire.exactly(8) == b"\x81\x82\0\0\0\0hi"
        await wire.close()


async def test_a_peer_leads_nothing_else_there(peer: Peer) -> None:
    wire = await Wire.open(peer.address)
    await wire.send(get("/user/other/"))
    head, _ = await wire.response()
    assert status(head) in (404, 410)
    await wire.close()


async def test_a_peer_is_one_process_that_serves(peer: Peer) -> None:
    # nginx has one that watches over the one that serves.
    assert len(peer.pids) == (2 if peer.name == "nginx" else 1)
