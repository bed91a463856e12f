"""``python -m bench.proxy.websockets``: visitors with WebSockets, in a process of their own.

A line on standard input has it open all of them, the next sets them to work,
unless they are to lie idle, and the last ends it. After each it says in a line of
JSON what they saw.
"""

import argparse
import asyncio
import json
import sys
import time
from typing import cast

import uvloop

from bench.proxy.browser import upgrade_headers
from bench.report import quantile

_OPENING_AT_ONCE = 64


class Visitor(asyncio.Protocol):
    """One WebSocket."""

    def __init__(self, path: str) -> None:
        lines = (f"{name}: {value}" for name, value in upgrade_headers().items())
        self._opening = "\r\n".join((f"GET {path} HTTP/1.1", *lines, "", "")).encode()
        self._missing = 0  # bytes of the echo that are to come
        self._head = b""
        self._deadline = 0.0
        self.opened = asyncio.get_running_loop().create_future()
        self.ended = asyncio.get_running_loop().create_future()
        self.took_s: list[float] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._opening)

    def connection_lost(self, error: Exception | None) -> None:
        for waiting in (self.opened, self.ended):
            if not waiting.done():
                waiting.set_exception(error or ConnectionResetError("closed"))

    def data_received(self, data: bytes) -> None:
        if self._missing:
            self._missing -= len(data)
            if not self._missing:
                self._came_back()
        elif not self.opened.done():
            self._head += data
            if not self._head.startswith(b"HTTP/1.1 101 "[: len(self._head)]):
                raise AssertionError(self._head.decode())
            if self._head.endswith(b"\r\n\r\n"):
                self.opened.set_result(None)

    def work(self, frame: bytes, echo_bytes: int, deadline: float) -> None:
        """Send ``frame``, and again whenever it has come back."""
        self._frame, self._echo_bytes, self._deadline = frame, echo_bytes, deadline
        self._send()

    def _send(self) -> None:
        self._missing = self._echo_bytes
        self._sent_at = time.perf_counter()
        self._transport.write(self._frame)

    def _came_back(self) -> None:
        now = time.perf_counter()
        self.took_s.append(now - self._sent_at)
        if now < self._deadline:
            self._send()
        else:
            self.ended.set_result(None)


def frame_and_echo(size: int) -> tuple[bytes, int]:
    """Make a message as a client sends it, masked with zeros; give how long its echo is."""
    if size < 126:
        length, more = size, b""
    elif size < 65536:
        length, more = 126, size.to_bytes(2, "big")
    else:
        length, more = 127, size.to_bytes(8, "big")
    frame = bytes((0x82, 0x80 | length)) + more + bytes(4) + b"x" * size
    return frame, len(frame) - 4


async def opened(port: int, paths: list[str], number: int) -> tuple[list[Visitor], list[float]]:
    """Open so many WebSockets, a bounded number at once; give how long each took."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(_OPENING_AT_ONCE)
    took_s: list[float] = []

    async def open_one(path: str) -> Visitor:
        async with gate:
            began = time.perf_counter()
            _, visitor = await loop.create_connection(lambda: Visitor(path), "127.0.0.1", port)
            await visitor.opened
            took_s.append(time.perf_counter() - began)
            return visitor

    visitors = await asyncio.gather(*(open_one(paths[i % len(paths)]) for i in range(number)))
    return visitors, took_s


def tell(units: int, seconds: float, took_s: list[float]) -> None:
    """Say what was seen so far, in a line."""
    p50, p99 = (quantile(took_s, share) * 1000 for share in (0.5, 0.99))
    facts = {"units": units, "seconds": seconds, "p50_ms": p50, "p99_ms": p99}
    print(json.dumps(facts), flush=True)


async def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--paths", nargs="+")
    parser.add_argument("--connections", type=int)
    parser.add_argument("--message-bytes", type=int, default=0, help="0: they lie idle")
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    await asyncio.to_thread(sys.stdin.readline)
    began = time.perf_counter()
    visitors, took_s = await opened(options.port, options.paths, options.connections)
    tell(len(visitors), time.perf_counter() - began, took_s)
    await asyncio.to_thread(sys.stdin.readline)
    if not options.message_bytes:
        return
    began = time.perf_counter()
    frame, echo_bytes = frame_and_echo(options.message_bytes)
    for visitor in visitors:
        visitor.work(frame, echo_bytes, began + options.seconds)
    await asyncio.gather(*(visitor.ended for visitor in visitors))
    seconds = time.perf_counter() - began
    took_s = [one for visitor in visitors for one in visitor.took_s]
    tell(len(took_s), seconds, took_s)
    await asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    uvloop.run(main())
