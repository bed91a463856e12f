"""What the kernel knows of a connection on this machine, seen from both of its ends.

So a proxy can be looked into from outside: whatever was sent, was not received, and
waits in no socket, waits in the proxy.
"""

import asyncio
import socket
from pathlib import Path

from tests.integration.proxy.kit import Wire

_TABLE = Path("/proc/net/tcp")
_PIECE = b"\0" * 262144
_IS_STUCK_S = 1.0
_PATIENCE_S = 20.0  # the kernel may wait for a while by itself, though there is room


def _spelled(host: str, port: int) -> str:
    return f"{int.from_bytes(socket.inet_aton(host), 'little'):08X}:{port:04X}"


def _ends(wire: Wire) -> list[list[str]]:
    """Return the table's lines for our end and for the other one."""
    ours = wire.writer.get_extra_info("socket")
    here, there = _spelled(*ours.getsockname()), _spelled(*ours.getpeername())
    lines = [line.split() for line in _TABLE.read_text().splitlines()]
    found = {(line[1], line[2]): line for line in lines}
    return [found[here, there], found[there, here]]


def keeps_alive(wire: Wire) -> bool:
    """Whether the other end has TCP keep-alive on."""
    return _ends(wire)[1][5].startswith("02:")  # the timer that runs


def queued_bytes(*wires: Wire) -> int:
    """Return what waits in sockets, sent or received."""
    queues = [end[4].split(":") for wire in wires for end in _ends(wire)]
    return sum(int(queue, 16) for pair in queues for queue in pair)


async def stuff(wire: Wire) -> int:
    """Send until the other end takes no more; return how many bytes left us."""
    wire.writer.transport.set_write_buffer_limits(high=0)
    sent = 0
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            wire.writer.write(_PIECE)
            sent += len(_PIECE)
            if not await _drains(wire):
                return sent - wire.writer.transport.get_write_buffer_size()


async def _drains(wire: Wire) -> bool:
    while True:
        try:
            async with asyncio.timeout(_IS_STUCK_S):
                await wire.writer.drain()
        except TimeoutError:
            if queued_bytes(wire):
                return False  # what has arrived there is left unread
        else:
            return True
