"""Carry one request to its target and the response back.

An exchange is made when a request's head has been read and its target found. It
ends exactly once: answered, refused by the edge, or cut. Nothing here waits: on
a pooled connection the request leaves in the same call that brought its head.
"""

from typing import TYPE_CHECKING

from proxy.activity import is_poll
from proxy.compose import UPGRADE, Reply, compose_reply, compose_request, with_space
from proxy.errors import BadBody, BadResponse, EdgeError
from proxy.framing import CHUNKED, UNTIL_CLOSE, Body, body_of
from proxy.request import Request
from proxy.response_head import (
    ResponseHead,
    ResponseHeaders,
    without_length,
)
from proxy.tunnel import Tunnel
from proxy.upstream import Target, Upstream

if TYPE_CHECKING:
    from proxy.client import Client

_MAX_JOINED_BYTES = 32 * 1024  # above, a second write is cheaper than a copy


class Exchange:
    """One request and its response, between a client and a target."""

    __slots__ = (
        "_body",
        "_counts",
        "_held",
        "_keeps_client",
        "_keeps_target",
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
        self._message = b""  # what waits for a connection, or for a retry
        self._held = b""  # a response head that is not whole
        self._body: Body | None = None  # of the response, once its head was relayed
        self._keeps_target = False
        self._keeps_client = False
        self._out = 0
        self._counts = False

    # ---- the request

    def start(self, now: float) -> None:
        """Send the request's head, or have a connection made for it."""
        target = self.target
        request = self.request
        if target.clocks is not None:
            self._counts = not (
                request.is_upgrade or is_poll(request.method, request.destination.rest)
            )
            target.clocks.begin_request(now, counts=self._counts)
        message = compose_request(
            request,
            prefix=target.prefix,
            prefix_line=target.prefix_line,
            authorization_line=target.authorization_line,
            hides_own_cookies=target.hides_own_cookies,
        )
        upstream = target.take()
        if upstream is None or request.headers.length == 0:
            self._message = message  # a stale connection may ask for it again
        if upstream is None:
            target.connect(self)
            return
        self.upstream = upstream
        upstream.exchange = self
        upstream.transport.write(message)

    def upload(self, piece: bytes) -> None:
        """Send on a piece of the request's body."""
        self.client.edge.bytes_in += len(piece)
        if self.target.clocks is not None:
            now = self.client.edge.clock()
            self.target.clocks.upload(now, len(piece), counts=self._counts)
        if self.upstream is not None:
            self.upstream.transport.write(piece)
        else:
            self._message += piece  # not often: reading is held from now on
            self.client.hold_reading(is_held=True)

    def connected(self, upstream: Upstream) -> None:
        """Send what waited for a connection."""
        self.upstream = upstream
        upstream.exchange = self
        if self.client.is_write_paused:
            upstream.transport.pause_reading()
        self.client.hold_reading(is_held=False)
        upstream.transport.write(self._message)

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
        if is_timeout:
            self._refuse(504, "connect_timeout", "The environment cannot be reached in time.")
            return
        self.client.edge.router.refused(self.target)
        self._refuse(502, "refused", "The environment refused the connection.")

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
            self.target.connect(self)
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
        target, request = self.target, self.request
        reader = target.reader_on_own_host if request.is_on_own_host else target.reader
        at_prefix = not request.destination.rest
        while data:
            head = reader.read(data, at_prefix=at_prefix)
            if head is None:
                self._held = data
                return
            data = self._take_head(head, data)

    def _take_head(self, head: ResponseHead, data: bytes) -> bytes:
        """Act on a head; return what follows an interim one."""
        status, headers, is_http_11 = head.status, head.headers, head.is_http_11
        if status[0] == 0x31:  # 1xx: interim
            if not is_http_11:
                raise BadResponse("HTTP/1.0 knows no interim answers.")
            if headers.length not in (0, UNTIL_CLOSE):  # llhttp would read it
                raise BadResponse("it announces a body for an interim answer.")
            rest = data[head.size :]
            if status.startswith(b"101"):
                self._open_tunnel(status, headers, rest)
                return b""
            self._relay_interim(status, headers)
            return rest
        if not is_http_11 and headers.length == CHUNKED:
            raise BadResponse("HTTP/1.0 knows no chunks.")
        reply = compose_reply(
            self.request, status, headers, is_http_11=is_http_11, may_keep=self.client.may_keep()
        )
        self._respond(reply, data, head.size)
        return b""

    def _relay_interim(self, status: bytes, headers: ResponseHeaders) -> None:
        if self.request.minor == 1:  # HTTP/1.0 does not know them
            out = b"HTTP/1.1 " + with_space(status) + without_length(headers.kept) + b"\r\n\r\n"
            self._out += len(out)
            self.client.transport.write(out)

    def _respond(self, reply: Reply, data: bytes, start: int) -> None:
        """Relay a response, of which ``data`` holds what has come of the body from ``start``."""
        transport = self.client.transport
        self._message = b""
        self.client.edge.count_relayed(self.target, reply.head[9:12])
        self._keeps_client, self._keeps_target = reply.keeps_client, reply.keeps_target
        length = reply.length
        if length == len(data) - start and len(data) < _MAX_JOINED_BYTES:
            out = reply.head + data[start:] if length else reply.head  # all of it in one read
            self._out += len(out)
            transport.write(out)
            self._finish(b"")
            return
        self._body = body_of(length, framed=reply.is_framed)
        self._out += len(reply.head)
        transport.write(reply.head)
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
            self.client.edge.bytes_out += len(piece)
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
        head = b"HTTP/1.1 " + with_space(status) + without_length(headers.kept) + UPGRADE
        client.transport.write(head + self.request.headers.cors + b"\r\n\r\n")
        client.edge.opened_websockets += 1
        self.target.forget(upstream)
        self._end()
        Tunnel(client, upstream, self.target, from_client=client.leave(), from_environment=rest)

    # ---- the end

    def cut(self) -> None:
        """End at once because the environment is gone."""
        if self._has_begun:
            self._break_off()
        else:
            self._refuse_as_found()

    def reconnect(self) -> None:
        """Begin anew, since the address changed before anything was sent there."""
        self.target.stop_connecting(self)
        if self.target.is_live:
            self.target.connect(self)
        else:
            self._refuse_as_found()

    def abort(self) -> None:
        """End at once because the client is gone."""
        self._end(is_reusable=False)

    def time_out(self) -> None:
        """End because the target did not answer in time."""
        if not self._has_begun:
            self._refuse(504, "response_timeout", "The environment does not answer in time.")

    def spoil(self, error: EdgeError) -> None:
        """End because the request's body broke off or broke its framing."""
        if self._has_begun:
            self._break_off()
        else:
            self._answer(error, keep=False)

    @property
    def _has_begun(self) -> bool:
        return self._body is not None

    def _finish(self, rest: bytes) -> None:
        client, upstream = self.client, self.upstream
        assert upstream is not None
        is_reusable = self._keeps_target and not rest and client.body is None
        if is_reusable and self.request.headers.length:
            # An answer that came before the request was flushed leaves it behind.
            is_reusable = upstream.transport.get_write_buffer_size() == 0
        self._end(is_reusable=is_reusable)
        client.answered(keep=self._keeps_client)

    def _refuse(self, status: int, code: str, message: str) -> None:
        target = self.target
        environment_id = target.environment_id.decode()
        self._answer(EdgeError(status, code, message, environment_id, target.template))

    def _refuse_as_found(self) -> None:
        """Answer what a request that came now would be answered."""
        self._answer(self.client.edge.router.why_not(self.request))

    def _answer(self, error: EdgeError, *, keep: bool = True) -> None:
        self._end(is_reusable=False)
        self.client.refuse(error, self.request, keep=keep)
        self.client.resume()

    def _break_off(self) -> None:
        self._end(is_reusable=False)
        self.client.break_off()

    def _end(self, *, is_reusable: bool | None = None) -> None:
        """Let go of both connections; None means that a tunnel has the target's."""
        client, upstream, target = self.client, self.upstream, self.target
        now = client.edge.clock()
        client.edge.bytes_out += self._out
        client.exchange = None
        self.upstream = None
        if client.is_held_by_target:
            client.hold_reading(is_held=False)  # nobody else will say so any more
        if upstream is None:
            target.stop_connecting(self)
        else:
            upstream.exchange = None
            if is_reusable:
                if client.is_write_paused and not upstream.transport.is_closing():
                    upstream.transport.resume_reading()
                target.release(upstream, now)
            elif is_reusable is not None:
                target.drop(upstream)
        if target.clocks is not None:
            target.clocks.end_request(now, self._out, counts=self._counts)
