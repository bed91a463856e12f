"""Carry one request to its target and the response back.

An exchange is made when a request's head has been read and its target found. It
ends exactly once: answered, refused by the edge, or cut. Nothing here waits: on
a pooled connection the request leaves in the same call that brought its head.
"""

import asyncio
from typing import TYPE_CHECKING

from proxy.activity import KNOWN_POLLS
from proxy.errors import BadBody, BadResponse, EdgeError
from proxy.framing import CHUNKED, UNTIL_CLOSE, Body, body_of
from proxy.request import Request
from proxy.response_head import (
    STATUS_LINE,
    ResponseHeaders,
    read_response_headers,
    without_length,
)
from proxy.tunnel import Tunnel
from proxy.upstream import Target, Upstream

if TYPE_CHECKING:
    from proxy.client import Client

_UPGRADE = b"\r\nConnection: Upgrade\r\nUpgrade: websocket"
_CHUNKED = b"\r\nTransfer-Encoding: chunked"
_CLOSE = b"\r\nConnection: close"
_KEEP_ALIVE = b"\r\nConnection: keep-alive"
_MAX_JOINED_BYTES = 32 * 1024  # above, a second write is cheaper than a copy


class Exchange:
    """One request and its response, between a client and a target."""

    __slots__ = (
        "_body",
        "_connecting",
        "_counts",
        "_held",
        "_is_reusable",
        "_keep",
        "_message",
        "_out",
        "client",
        "request",
        "target",
        "upstream",
    )

    def __init__(self, client: "Client", target: Target, request: Request) -> None:
        self.client = client
        self.target = target
        self.request = request
        self.upstream: Upstream | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._message: list[bytes] = []  # what waits for a connection, or for a retry
        self._held = b""  # a response head that is not whole
        self._body: Body | None = None  # of the response, once its head was relayed
        self._is_reusable = False
        self._keep = False
        self._out = 0
        self._counts = False

    # ---- the request

    def start(self, now: float) -> None:
        """Send the request's head, or have a connection made for it."""
        target = self.target
        request = self.request
        if target.clocks is not None:
            is_poll = request.destination.rest in KNOWN_POLLS and request.method == b"GET"
            self._counts = not is_poll and not request.is_upgrade
            target.clocks.begin_request(now, counts=self._counts)
        message = self._head()
        if request.headers.length == 0:
            self._message.append(message)  # kept: a stale connection may ask for it again
        if (upstream := target.take()) is not None:
            self.upstream = upstream
            upstream.exchange = self
            upstream.transport.write(message)
            return
        if request.headers.length != 0:
            self._message.append(message)
        self._connecting = target.connect(self)

    def upload(self, piece: bytes) -> None:
        """Send on a piece of the request's body."""
        if self.target.clocks is not None:
            self.target.clocks.upload(self.client.edge.clock(), len(piece))
        if self.upstream is not None:
            self.upstream.transport.write(piece)
        else:
            self._message.append(piece)
            self.client.hold_reading(is_held=True)

    def connected(self, upstream: Upstream) -> None:
        """Send what waited for a connection."""
        self._connecting = None
        self.upstream = upstream
        upstream.exchange = self
        if self.client.is_write_paused:
            upstream.transport.pause_reading()
        self.client.hold_reading(is_held=False)
        upstream.transport.write(b"".join(self._message))

    def hold_response(self, *, is_held: bool) -> None:
        """Hold the target while the client takes no more, or let it go on."""
        if self.upstream is None or self.upstream.transport.is_closing():
            return
        if is_held:
            self.upstream.transport.pause_reading()
        else:
            self.upstream.transport.resume_reading()

    def unreachable(self, *, is_timeout: bool) -> None:
        """Answer that no connection could be made."""
        self._connecting = None
        if is_timeout:
            self._refuse(504, "connect_timeout", "The environment cannot be reached in time.")
            return
        if self.target.environment_id:
            self.client.edge.resolver.refused(self.target.environment_id.decode())
        self._refuse(502, "refused", "The environment refused the connection.")

    def _head(self) -> bytes:
        request, target = self.request, self.target
        headers = request.headers
        is_environment = bool(target.prefix)
        kept = headers.kept if is_environment else headers.kept_whole
        prefix = target.prefix_line
        if headers.outer_prefix:
            prefix = b"\r\nX-Forwarded-Prefix: " + headers.outer_prefix + target.prefix
        return b"".join(
            (
                request.method,
                b" ",
                request.destination.target,
                b" HTTP/1.1",
                kept,
                b"" if headers.has_host else b"\r\nHost: localhost",
                prefix,
                b"" if headers.has_authorization else target.authorization_line,
                _CHUNKED if headers.length == CHUNKED else b"",
                _UPGRADE if request.is_upgrade else b"",
                b"\r\n\r\n",
            )
        )

    # ---- the response

    def response_bytes(self, data: bytes) -> None:
        """Take what the target sent."""
        if self._body is None:
            try:
                self._read_head(data)
            except BadResponse as error:
                self._refuse(502, "bad_gateway", f"The environment's answer is unusable: {error}")
        else:
            self._relay(data)

    def response_ended(self, error: Exception | None) -> None:
        """Take the end of the target's stream, clean if ``error`` is None."""
        if self._body is not None:
            self._end_body(error)
        elif self._may_retry():
            assert self.upstream is not None
            self.target.drop(self.upstream)
            self.upstream = None
            self._connecting = self.target.connect(self)
        else:
            self._refuse(502, "bad_gateway", "The environment closed the connection unanswered.")

    def _may_retry(self) -> bool:
        # RFC 9112 §9.3.1: a closed idle connection is no answer, for a safe method.
        return (
            self.upstream is not None
            and not self.upstream.is_fresh
            and not self._held
            and self._out == 0
            and self.request.method in (b"GET", b"HEAD")
            and self.request.headers.length == 0
            and self.target.is_live
        )

    def _read_head(self, data: bytes) -> None:
        if self._held:
            data, self._held = self._held + data, b""
        limit = self.target.settings.max_response_head_bytes
        while data:
            end = data.find(b"\r\n\r\n")
            if end > limit or (end < 0 and len(data) > limit):
                raise BadResponse("its head is too long.")
            if end < 0:
                if not data.startswith(b"HTTP/1."[: len(data)]):
                    raise BadResponse("it is not HTTP/1.")
                self._held = data
                return
            data = self._take_head(data, end)

    def _take_head(self, data: bytes, end: int) -> bytes:
        """Act on the head that ends at ``end``; return what follows an interim one."""
        line = STATUS_LINE.match(data, 0, end + 2)
        if line is None:
            raise BadResponse("its status line is malformed.")
        at_prefix = not self.request.destination.rest
        headers = read_response_headers(
            data[line.end() : end], self.target.rules, at_prefix=at_prefix
        )
        status = line[2]
        if status[0] == 0x31:  # 1xx: interim
            rest = data[end + 4 :]
            if status.startswith(b"101"):
                self._open_tunnel(status, headers, rest)
                return b""
            self._relay_interim(status, headers)
            return rest
        is_http_11 = line[1] == b"1"
        self._is_reusable = not headers.closes and (is_http_11 or headers.keeps_alive)
        if not is_http_11 and headers.length == CHUNKED:
            raise BadResponse("HTTP/1.0 knows no chunks.")
        self._respond(status, headers, data, end + 4)
        return b""

    def _relay_interim(self, status: bytes, headers: ResponseHeaders) -> None:
        if self.request.minor == 1:  # HTTP/1.0 does not know them
            out = b"HTTP/1.1 " + _with_space(status) + headers.kept + b"\r\n\r\n"
            self._out += len(out)
            self.client.transport.write(out)

    def _respond(self, status: bytes, headers: ResponseHeaders, data: bytes, start: int) -> None:
        client, request = self.client, self.request
        kept, length, framing, is_framed = headers.kept, headers.length, b"", True
        is_bodiless = request.method == b"HEAD" or status.startswith((b"204", b"304"))
        if length < 0:
            is_framed = request.minor == 1
            if is_framed and (not is_bodiless or length == CHUNKED):
                framing = _CHUNKED
            if length == UNTIL_CLOSE and not is_bodiless:
                self._is_reusable = False
        if is_bodiless:
            length, is_framed = 0, True
            if status.startswith(b"204"):
                kept, framing = without_length(kept), b""
        self._keep = request.keeps_alive and is_framed and client.may_keep()
        connection = b""
        if not self._keep:
            connection = _CLOSE
        elif request.minor == 0:
            connection = _KEEP_ALIVE
        head = b"".join(
            (
                b"HTTP/1.1 ",
                _with_space(status),
                kept,
                framing,
                request.headers.cors,
                connection,
                b"\r\n\r\n",
            )
        )
        self._message.clear()
        if length == len(data) - start and len(data) < _MAX_JOINED_BYTES:
            out = head + data[start:] if length else head  # the whole answer in one read
            self._out += len(out)
            client.transport.write(out)
            self._finish(b"")
            return
        self._body = body_of(length, framed=is_framed)
        self._out += len(head)
        client.transport.write(head)
        if start < len(data) or self._body.done:
            self._relay(data[start:])

    def _relay(self, data: bytes) -> None:
        body = self._body
        assert body is not None
        try:
            piece = body.feed(data)
        except BadBody:
            self._break_off()
            return
        if piece:
            if self.target.clocks is not None:
                self.target.clocks.download(self.client.edge.clock(), len(piece))
            self.client.transport.write(piece)
        if body.done:
            self._finish(body.rest)

    def _end_body(self, error: Exception | None) -> None:
        assert self._body is not None
        try:
            last = self._body.close()
        except BadBody:
            self._break_off()
            return
        if error is not None:
            self._break_off()
            return
        if last:
            self.client.transport.write(last)
        self._finish(b"")

    def _open_tunnel(self, status: bytes, headers: ResponseHeaders, rest: bytes) -> None:
        if not self.request.is_upgrade or not headers.is_websocket:
            raise BadResponse("it changes to a protocol nobody asked for.")
        upstream, client = self.upstream, self.client
        assert upstream is not None
        head = b"HTTP/1.1 " + _with_space(status) + headers.kept + _UPGRADE
        client.transport.write(head + self.request.headers.cors + b"\r\n\r\n")
        self.target.forget(upstream)
        self._end()
        Tunnel(client, upstream, self.target, from_client=client.leave(), from_environment=rest)

    # ---- the end

    def cut(self) -> None:
        """End at once because the environment is gone."""
        if self._has_begun:
            self._break_off()
        else:
            self._refuse(410, "gone", "The environment has ended.")

    def abort(self) -> None:
        """End at once because the client is gone."""
        if self._connecting is not None:
            self._connecting.cancel()
        self._end(is_reusable=False)

    def time_out(self) -> None:
        """End because the target did not answer in time."""
        if not self._has_begun:
            self._refuse(504, "response_timeout", "The environment does not answer in time.")

    def spoil(self, error: EdgeError) -> None:
        """End because the request's body broke off or broke its framing."""
        if self._has_begun:
            self._break_off()
            return
        self._end(is_reusable=False)
        self.client.refuse(error, self.request, keep=False)

    @property
    def _has_begun(self) -> bool:
        return self._body is not None

    def _finish(self, rest: bytes) -> None:
        client, upstream = self.client, self.upstream
        assert upstream is not None
        is_reusable = self._is_reusable and not rest and client.body is None
        if is_reusable and self.request.headers.length:
            # An answer that came before the request was flushed leaves it behind.
            is_reusable = upstream.transport.get_write_buffer_size() == 0
        self._end(is_reusable=is_reusable)
        client.answered(keep=self._keep)

    def _refuse(self, status: int, code: str, message: str) -> None:
        self._end(is_reusable=False)
        target = self.target
        error = EdgeError(
            status, code, message, target.environment_id.decode(), target.template, ""
        )
        self.client.refuse(error, self.request)
        self.client.resume()

    def _break_off(self) -> None:
        self._end(is_reusable=False)
        self.client.break_off()

    def _end(self, *, is_reusable: bool | None = None) -> None:
        """Let go of both connections; None means that a tunnel has the target's."""
        client, upstream, target = self.client, self.upstream, self.target
        now = client.edge.clock()
        client.exchange = None
        self.upstream = None
        if upstream is not None:
            upstream.exchange = None
            if is_reusable:
                if client.is_write_paused and not upstream.transport.is_closing():
                    upstream.transport.resume_reading()
                target.release(upstream, now)
            elif is_reusable is not None:
                target.drop(upstream)
        if target.clocks is not None:
            target.clocks.end_request(now, self._out, counts=self._counts)


def _with_space(status: bytes) -> bytes:
    return status if len(status) > 3 else status + b" "  # RFC 9112 §4: the space is not optional
