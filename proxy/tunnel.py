"""Carry a WebSocket: bytes both ways after 101, frames untouched.

A tunnel takes over both transports. It reads frame headers only to date the
activity, and to know where a close frame of the edge's own may be put in: between
two frames to the client, and never after a close frame.
"""

import asyncio
import socket
from typing import TYPE_CHECKING

from proxy.frames import FrameScanner, close_frame
from proxy.tls import end_writing

if TYPE_CHECKING:
    from proxy.client import Client
    from proxy.edge import Edge
    from proxy.upstream import Target, Upstream

GOING_AWAY = 1001
SERVICE_RESTART = 1012


class _End(asyncio.Protocol):
    """One end of a tunnel: what it receives goes to the other transport."""

    __slots__ = ("other", "scanner", "tunnel")

    def __init__(self, tunnel: "Tunnel", other: asyncio.Transport) -> None:
        self.tunnel = tunnel
        self.other = other
        self.scanner = FrameScanner()

    def eof_received(self) -> None:
        """End the tunnel; the transport closes itself."""
        self.tunnel.close()

    def connection_lost(self, _error: Exception | None) -> None:
        """End the tunnel."""
        self.tunnel.lost()

    def pause_writing(self) -> None:
        """Hold the other end: this one does not read as fast."""
        if not self.other.is_closing():
            self.other.pause_reading()

    def resume_writing(self) -> None:
        """Let the other end send again."""
        if not self.other.is_closing():
            self.other.resume_reading()


class _ClientEnd(_End):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        tunnel = self.tunnel
        if tunnel.is_ending:
            return
        self.other.write(data)
        tunnel.edge.bytes_in += len(data)
        has_data = self.scanner.feed(data)
        if tunnel.clocks is not None:
            tunnel.clocks.frames_in(tunnel.edge.clock(), len(data), has_data=has_data)


class _EnvironmentEnd(_End):
    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        tunnel = self.tunnel
        if tunnel.is_ending:
            return
        self.other.write(data)
        tunnel.edge.bytes_out += len(data)
        has_data = self.scanner.feed(data)
        if tunnel.clocks is not None:
            tunnel.clocks.frames_out(tunnel.edge.clock(), len(data), has_data=has_data)


class Tunnel:
    """An upgraded connection; counted from 101 until both sides are closed."""

    __slots__ = (
        "_from_environment",
        "_sides",
        "_target",
        "client",
        "clocks",
        "edge",
        "is_ending",
        "upstream",
    )

    def __init__(
        self,
        client: "Client",
        upstream: "Upstream",
        target: "Target",
        *,
        from_client: bytes,
        from_environment: bytes,
    ) -> None:
        self.edge: Edge = client.edge
        self.clocks = target.clocks
        self.is_ending = False
        self._target = target
        self._sides = 2  # that are not lost yet
        self.client = client.transport
        self.upstream = upstream.transport
        self._from_environment = _EnvironmentEnd(self, self.client)
        from_client_end = _ClientEnd(self, self.upstream)
        for transport, end in (
            (self.client, from_client_end),
            (self.upstream, self._from_environment),
        ):
            transport.set_protocol(end)
            transport.resume_reading()
            _keep_alive(transport)
        self.edge.tunnels.add(self)
        target.tunnels.add(self)
        if self.clocks is not None:
            self.clocks.count_websockets(+1, self.edge.clock())
        if from_client:
            from_client_end.data_received(from_client)
        if from_environment:
            self._from_environment.data_received(from_environment)

    def close(self) -> None:
        """Close both sides once what was received is delivered; invent no frame."""
        self.is_ending = True
        for transport in (self.client, self.upstream):
            if not transport.is_closing():
                transport.close()
        self._abort_later()

    def end(self, code: int) -> None:
        """Close both sides, telling the client why where a frame may be put in."""
        if self.is_ending:
            return
        scanner = self._from_environment.scanner
        if not scanner.is_at_boundary or scanner.has_closed:
            self.close()
            return
        self.is_ending = True
        self.upstream.abort()
        self.client.write(close_frame(code))
        # Closing with unread bytes would reset the connection and lose the frame.
        end_writing(self.client)
        self.client.resume_reading()
        self._abort_later()

    def abort(self) -> None:
        """Cut both sides."""
        self.is_ending = True
        self.client.abort()
        self.upstream.abort()

    def lost(self) -> None:
        """Take the loss of a side."""
        if not self.is_ending:
            self.close()
        self._sides -= 1
        if not self._sides:
            self.edge.tunnels.discard(self)
            self._target.tunnels.discard(self)
            if self.clocks is not None:
                self.clocks.count_websockets(-1, self.edge.clock())
            self.edge.check_quiet()

    def _abort_later(self) -> None:
        delay_s = self.edge.settings.linger_timeout_s
        asyncio.get_running_loop().call_later(delay_s, self.abort)


def _keep_alive(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family != socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
