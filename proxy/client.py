"""Serve one visitor's connection: read heads, start exchanges, give the edge's answers.

The mutable state is what is being waited for, and at most one thing is: the rest
of a head (``_buffer``), a route (``_waiting``), a response (``exchange``), or the
end of a body that nobody wants (``body`` alone). What arrives early is held, a
bounded amount of it.
"""

import asyncio
import math
import socket
import struct
from typing import TYPE_CHECKING, cast

from proxy.errors import Answer, BadBody, EdgeError, Refusal, bad_request
from proxy.exchange import Exchange
from proxy.framing import CHUNKED, Body, body_of
from proxy.request import Request, check_beginning, read_request_line, without_empty_lines
from proxy.request_head import Headers
from proxy.tls import end_writing
from proxy.upstream import HIGH_WATER_BYTES, Target

if TYPE_CHECKING:
    from proxy.edge import Edge
    from proxy.router import Found

_RESET = struct.pack("ii", 1, 0)
_MAX_DISCARDED_BYTES = 64 * 1024  # of a refused request's body; beyond, closing is cheaper


class Client(asyncio.Protocol):
    """One visitor's connection."""

    __slots__ = (
        "_block",
        "_buffer",
        "_headers",
        "_is_closing",
        "_is_head_dated",
        "_is_held_by_buffer",
        "_is_taking",
        "_left",
        "_peer",
        "_waiting",
        "body",
        "deadline",
        "edge",
        "exchange",
        "is_held_by_target",
        "is_write_paused",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, edge: "Edge") -> None:
        self.edge = edge
        self.exchange: Exchange | None = None
        self.body: Body | None = None  # of the request, until it has come in whole
        self.deadline = math.inf
        self.is_write_paused = False
        self._buffer = b""
        self._waiting: Request | None = None
        self._block = b""  # the last header block, and what was read from it
        self._headers: Headers | None = None
        self._is_head_dated = True
        self._is_held_by_buffer = False
        self.is_held_by_target = False
        self._is_closing = False
        self._is_taking = False
        self._left: float = math.inf  # of the last answer, when that was last looked at

    # ---- what the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of no such class
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        name = self.transport.get_extra_info("peername")
        is_tls = transport.get_extra_info("sslcontext") is not None
        self._peer = self.edge.peer(name[0] if name else "", is_tls=is_tls)
        self.deadline = self.edge.clock() + self.edge.settings.header_timeout_s
        self.edge.clients.add(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes from the visitor."""
        if self._is_closing:
            return
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        self._take(data)

    def eof_received(self) -> None:
        """Take the visitor's leave: whoever half-closes is not waited for either."""
        self._give_up()

    def connection_lost(self, _error: Exception | None) -> None:
        """Take the end of the connection."""
        self._give_up()
        self.edge.clients.discard(self)
        self.edge.check_quiet()

    def pause_writing(self) -> None:
        """Hold the target: the visitor does not read as fast."""
        self.is_write_paused = True
        if self.exchange is not None:
            self.exchange.hold_response(is_held=True)

    def resume_writing(self) -> None:
        """Let the target send again, and take the next request."""
        self.is_write_paused = False
        if self.exchange is not None:
            self.exchange.hold_response(is_held=False)
        self.resume()

    # ---- reading

    def _take(self, data: bytes) -> None:
        self._is_taking = True
        try:
            while data and not self._is_closing:
                if self._waiting is not None:
                    data = self._hold(data)
                elif self.body is not None:
                    data = self._take_body(data)
                elif self.exchange is not None or self.is_write_paused:
                    data = self._hold(data)
                else:
                    data = self._take_head(data)
        except Refusal as refusal:
            self.refuse(refusal.error, None)
        finally:
            self._is_taking = False

    def _take_head(self, data: bytes) -> bytes:
        """Begin the request whose head is whole; return what follows it."""
        if data.startswith(b"\r\n"):
            return without_empty_lines(data)
        settings = self.edge.settings
        end = data.find(b"\r\n\r\n", 0, settings.max_head_bytes + 4)
        if end < 0:
            check_beginning(data, settings)
            if not self._is_head_dated:
                self._is_head_dated = True
                self.deadline = self.edge.clock() + settings.header_timeout_s
            self._buffer = data
            return b""
        try:
            method, target, minor, start = read_request_line(data, end, settings.max_url_bytes)
            headers = self._headers
            block = data[start:end]
            if headers is None or block != self._block:
                headers = self.edge.reader.read(block, self._peer)
                self._block, self._headers = block, headers
        except Refusal:
            check_beginning(data[: end + 3], settings)  # as if it had come byte by byte
            raise
        self._is_head_dated = False
        request_id = headers.request_id or self.edge.new_id()
        self._begin(Request(method, target, minor, headers, request_id))
        return data[end + 4 :]

    def _take_body(self, data: bytes) -> bytes:
        body, exchange = self.body, self.exchange
        assert body is not None
        try:
            piece = body.feed(data)
        except BadBody as error:
            if exchange is not None:
                exchange.spoil(EdgeError(400, "bad_request", str(error)))
            else:
                self.close()
            return b""
        if body.done:
            self.body = None
        if exchange is not None:
            self._date()
            if piece:
                exchange.upload(piece)
        return body.rest

    def _hold(self, data: bytes) -> bytes:
        self._buffer = data
        if len(data) > self.edge.settings.max_pipelined_bytes:
            self._is_held_by_buffer = True
            self._steer_reading()
        return b""

    # ---- a request's beginning

    def _begin(self, request: Request) -> None:
        headers = request.headers
        self.edge.count_request(headers)
        if request.minor == 0 and headers.length == CHUNKED:
            raise bad_request("HTTP/1.0 knows no chunks.")
        if request.minor == 1 and not headers.has_host:
            raise bad_request("Host is missing.")
        request.check_method()
        if headers.length:
            self.body = body_of(headers.length, framed=True)
        try:
            found = self.edge.find(request)
        except Refusal as refusal:
            self.refuse(refusal.error, request)
            return
        if request.is_preflight and self.edge.answers_preflights:
            self._answer_preflight(request)
            return
        if found is None:
            self._waiting = request
            self.deadline = math.inf
            self.edge.router.ask(request, self._found)
        else:
            self._go_on(request, found)

    def _found(self, found: "Found") -> None:
        request, self._waiting = self._waiting, None
        if request is None or self._is_closing:
            return
        self._go_on(request, found)
        self.resume()

    def _go_on(self, request: Request, found: "Found") -> None:
        if not isinstance(found, Target):
            if isinstance(found, EdgeError):
                self.refuse(found, request)
            else:
                self._answer(found, request, keep=True)
            return
        self.exchange = exchange = Exchange(self, found, request)
        exchange.start(self.edge.clock())
        self._date()

    def _answer_preflight(self, request: Request) -> None:
        headers = request.headers
        assert headers.origin is not None
        keep = request.keeps_alive and self.may_keep()
        close = b"" if keep else b"\r\nConnection: close"
        preflight = self.edge.cors.preflight
        self.transport.write(preflight(headers.origin, headers.requested_headers, close))
        self.answered(keep=keep)

    # ---- a request's end

    def may_keep(self) -> bool:
        """Whether this connection may carry another request after this one."""
        return self.body is None and not self.edge.is_draining

    def answered(self, *, keep: bool) -> None:
        """Take the end of a response that has been written in full."""
        if not keep or self.edge.is_draining:
            self.close()
            return
        self.deadline = self.edge.clock() + self.edge.settings.idle_timeout_s
        if self._buffer:
            self.resume()

    def refuse(self, error: EdgeError, request: Request | None, *, keep: bool = True) -> None:
        """Answer with ``error``; without a ``request`` the framing is lost, so close."""
        if self._is_closing:
            return
        self.edge.note(error, request)
        explain = self.edge.explain
        explained = explain(error, request) if explain is not None and request is not None else None
        if explained is None:
            self._answer(self.edge.answer(error, request), request, keep=keep)
            return
        self._waiting = request
        self.deadline = math.inf
        self.edge.look_up(explained, lambda answer: self._explained(answer, request, keep=keep))

    def _explained(self, answer: Answer, request: Request | None, *, keep: bool) -> None:
        if self._waiting is not request or self._is_closing:
            return
        self._waiting = None
        self._answer(answer, request, keep=keep)
        self.resume()

    def _answer(self, answer: Answer, request: Request | None, *, keep: bool) -> None:
        keep = (
            keep
            and request is not None
            and request.keeps_alive
            and not self.edge.is_draining
            and (self.body is None or self._may_discard(request.headers))
        )
        self.transport.write(self.edge.render(answer, request, keep=keep))
        self.answered(keep=keep)

    def resume(self) -> None:
        """Take what was held, unless that is being done already."""
        if self._is_taking or self._is_closing or self.is_write_paused:
            return
        data, self._buffer = self._buffer, b""
        if self._is_held_by_buffer:
            self._is_held_by_buffer = False
            self._steer_reading()
        if data:
            self._take(data)

    def leave(self) -> bytes:
        """Leave the transport to a tunnel; return what was read ahead."""
        self._is_closing = True
        self.edge.clients.discard(self)
        data, self._buffer = self._buffer, b""
        return data

    def close(self) -> None:
        """Close when everything is written, giving the visitor time to read it."""
        if self._is_closing:
            return
        self._is_closing = True
        self._buffer = b""
        self.deadline = self.edge.clock() + self.edge.settings.linger_timeout_s
        if self.transport.is_closing():
            return
        # Closing a socket with unread input resets it, and the answer may be lost
        # (RFC 9112 §9.6). So only our side is closed, and the rest is read and dropped.
        self._is_held_by_buffer = self.is_held_by_target = False
        self._steer_reading()
        end_writing(self.transport)

    def close_if_idle(self) -> bool:
        """Close unless a request is open or begun; say whether it is none."""
        is_open = self.exchange is not None or self._waiting is not None
        is_idle = not is_open and self.body is None and not self._buffer
        if is_idle:
            self.close()
        return is_idle

    def break_off(self) -> None:
        """Reset the connection, so that a broken message cannot pass for a whole one."""
        self._is_closing = True
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()

    def expire(self, now: float) -> None:
        """Act on the deadline, which has passed."""
        self.deadline = math.inf
        if self._is_closing:
            left = self.transport.get_write_buffer_size()
            if 0 < left < self._left:  # it is being read, however slowly
                self._left = left
                self.deadline = now + self.edge.settings.body_timeout_s
            else:
                self.transport.abort()
        elif self.exchange is not None:
            if self.body is not None:
                self.exchange.spoil(EdgeError(408, "body_timeout", "The body stalled."))
            else:
                self.exchange.time_out()
        elif self._buffer:
            self.refuse(EdgeError(408, "head_timeout", "The request head took too long."), None)
        else:
            self.close()

    def hold_reading(self, *, is_held: bool) -> None:
        """Hold the visitor's body while the target takes no more, or let it go on."""
        self.is_held_by_target = is_held
        self._steer_reading()
        self._date()

    @property
    def is_held(self) -> bool:
        """Whether nothing is read from the visitor, not even that they left."""
        is_held = self._is_held_by_buffer or self.is_held_by_target
        return is_held and not self.transport.is_closing()

    def _steer_reading(self) -> None:
        if self.transport.is_closing():
            return
        if self.is_held:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    def _date(self) -> None:
        """Set the deadline of an open exchange."""
        settings = self.edge.settings
        if self.is_held_by_target:
            self.deadline = math.inf
        elif self.body is not None:
            self.deadline = self.edge.clock() + settings.body_timeout_s
        elif settings.response_timeout_s is not None:
            self.deadline = self.edge.clock() + settings.response_timeout_s
        else:
            self.deadline = math.inf

    def _may_discard(self, headers: Headers) -> bool:
        return 0 < headers.length <= _MAX_DISCARDED_BYTES and not headers.expects_continue

    def _give_up(self) -> None:
        self._is_closing = True
        self._waiting = None
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.abort()
