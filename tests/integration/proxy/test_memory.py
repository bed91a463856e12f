"""A body of 1 GiB crosses a process that stays as small as it was."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from tests.integration.proxy.kit import MIB, get
from tests.integration.proxy.target import Target, target_of
from tests.integration.proxy.trial import reserved_port
from tests.peers.ours import TmpenvProxy

GIB = 1024 * MIB
PIECE = bytes(MIB)
FEW_BYTES = 64 * MIB
TIMEOUT_S = 60.0


@pytest.fixture
async def running(tmp_path: Path, pytestconfig: pytest.Config) -> AsyncIterator[Target]:
    """Give the target, or ``tmpenv proxy`` in its place, as a process that can be weighed."""
    if target := target_of(pytestconfig):
        if target.pid is None:
            pytest.skip("the target's process was not told (--target-pid)")
        yield target
        return
    with reserved_port() as port:
        async with TmpenvProxy(tmp_path, port) as peer:
            yield Target(peer.address, ("127.0.0.1", port), peer.pids[0])


def weight_bytes(target: Target) -> int:
    process = psutil.Process(target.pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def read_head(connection: socket.socket) -> None:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        assert byte, head
        head += byte


def heaviest(target: Target, sender: socket.socket, receiver: socket.socket) -> int:
    """Send 1 GiB; return how heavy the target ever was meanwhile."""

    def send() -> None:
        for _ in range(GIB // MIB):
            sender.sendall(PIECE)

    sending = threading.Thread(target=send, daemon=True)
    sending.start()
    buffer = bytearray(MIB)
    received = heaviest_bytes = 0
    while received < GIB:
        size = receiver.recv_into(buffer)
        assert size
        if (received + size) // (64 * MIB) != received // (64 * MIB):
            heaviest_bytes = max(heaviest_bytes, weight_bytes(target))
        received += size
    sending.join(TIMEOUT_S)
    assert received == GIB
    return heaviest_bytes


def cross(target: Target, *, is_upload: bool) -> int:
    """Have 1 GiB sent through the target; return by how much it grew."""
    length = f"Content-Length: {GIB + 1}"
    lines = (length,) if is_upload else ()
    with (
        socket.create_server(target.upstream) as listener,
        socket.create_connection(target.address) as visitor,
    ):
        before = weight_bytes(target)
        # The first byte comes at once: some pass a head on only when a body follows.
        head = get("/user/abc/x", *lines, method="PUT" if is_upload else "GET")
        visitor.sendall(head + PIECE[:1] if is_upload else head)
        listener.settimeout(TIMEOUT_S)
        upstream, _ = listener.accept()
        with upstream:
            for end in (visitor, upstream):
                end.settimeout(TIMEOUT_S)
            read_head(upstream)
            if is_upload:
                assert upstream.recv(1)
                return heaviest(target, visitor, upstream) - before
            upstream.sendall(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode() + PIECE[:1])
            read_head(visitor)
            assert visitor.recv(1)
            return heaviest(target, upstream, visitor) - before


@pytest.mark.parametrize("is_upload", [True, False])
async def test_2_24_a_gibibyte_takes_no_memory(running: Target, is_upload: bool) -> None:
    grown_bytes = await asyncio.to_thread(cross, running, is_upload=is_upload)

    assert grown_bytes < FEW_BYTES
