"""Keep the connections to one target, and lend them to exchanges.

A :class:`Target` is an environment or the application. Its connections are its
own: none is ever lent for another target, and none outlives its address.
"""

import asyncio
import ssl
from typing import TYPE_CHECKING, cast

from proxy.activity import Clocks
from proxy.guard import Guard, guard_of
from proxy.response_head import (
    ResponseReader,
    ResponseRules,
    environment_rules,
    own_host_rules,
)
from proxy.routes import Route
from proxy.settings import ProxySettings

if TYPE_CHECKING:
    from proxy.exchange import Exchange
    from proxy.tunnel import Tunnel


# One whole read of uvloop's, so that a reader who keeps up is never told to wait.
HIGH_WATER_BYTES = 256 * 1024


class Upstream(asyncio.Protocol):
    """One connection to a target; idle while no exchange has it."""

    __slots__ = ("exchange", "generation", "idle_since", "is_fresh", "target", "transport")

    transport: asyncio.Transport

    def __init__(self, target: "Target") -> None:
        self.target = target
        self.generation = target.generation
        self.exchange: Exchange | None = None
        self.is_fresh = True
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are of no such class
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self.target.open.add(self)

    def data_received(self, data: bytes) -> None:
        """Pass on what belongs to a response; nobody asked for anything else."""
        if self.exchange is not None:
            self.exchange.response_bytes(data)
        else:
            self.target.drop(self)

    def eof_received(self) -> None:
        """Take the end of the stream: of a response, perhaps. The transport closes."""
        if self.exchange is not None:
            self.exchange.response_ended(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Take the end of the connection."""
        self.target.forget(self)
        if self.exchange is not None:
            self.exchange.response_ended(error)

    def pause_writing(self) -> None:
        """Hold the client: the target does not read as fast."""
        if self.exchange is not None:
            self.exchange.client.hold_reading(is_held=True)

    def resume_writing(self) -> None:
        """Let the client send again."""
        if self.exchange is not None:
            self.exchange.client.hold_reading(is_held=False)


class Target:
    """Where requests are sent, with the connections that lead there.

    The mutable state is ``open`` with its part ``idle``, ``tunnels`` and
    ``connecting``, and the address, whose every change begins a new generation of connections.
    """

    def __init__(
        self,
        settings: ProxySettings,
        *,
        environment_id: bytes = b"",
        prefix: bytes = b"",
        own_host: bytes = b"",
    ) -> None:
        self.settings = settings
        self.environment_id = environment_id
        self.generation = 0
        self.is_live = False
        self.path = ""  # of a unix socket; else host and port count
        self.host = ""
        self.port = 0
        self.template = ""
        self.own_host = own_host
        self.read_responses_under(ResponseRules())
        self.clocks: Clocks | None = None
        self.tls: ssl.SSLContext | None = None
        self.hides_own_cookies = bool(environment_id)
        self.stand_under(prefix)
        self.authorization_line = b""
        self.guard: Guard | None = None
        self.idle: list[Upstream] = []
        self.open: set[Upstream] = set()
        self.tunnels: set[Tunnel] = set()
        self.connecting: dict[Exchange, asyncio.Task[None]] = {}
        self._emptied = asyncio.Event()

    def stand_under(self, prefix: bytes) -> None:
        """Tell whom it leads to, with every request, where in the paths it is found."""
        self.prefix = prefix
        self.prefix_line = b"\r\nX-Forwarded-Prefix: " + prefix if prefix else b""

    def read_responses_under(self, rules: ResponseRules) -> None:
        """Let responses say to browsers what ``rules`` allow."""
        most = self.settings.max_response_head_bytes
        self.reader = self.reader_on_own_host = ResponseReader(rules, most)
        if self.own_host:
            self.reader_on_own_host = ResponseReader(own_host_rules(rules, self.own_host), most)

    def lead_to(self, route: Route) -> None:
        """Lead to the live ``route``; connections to another address are closed."""
        address = (route.host, route.port)
        if self.is_live and address != (self.host, self.port):
            self.retire()
        self.host, self.port = address
        self.template = route.template
        self.read_responses_under(environment_rules(self.settings, self.prefix, *address))
        self.authorization_line = (
            b"\r\nAuthorization: " + route.authorization if route.authorization else b""
        )
        self.guard = guard_of(route, self.settings)
        self.is_live = True

    def retire(self) -> None:
        """Lend nothing any more; what is lent is closed when it comes back."""
        self.is_live = False
        self.generation += 1
        idle, self.idle = self.idle, []
        for upstream in idle:
            upstream.transport.close()

    def cut(self) -> None:
        """End every exchange at once."""
        for exchange in [one.exchange for one in self.open if one.exchange is not None]:
            exchange.cut()

    async def close(self) -> None:
        """Close everything that leads there, and wait for what was being opened."""
        self.retire()
        tasks = list(self.connecting.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._emptied.clear()
        for upstream in self.open:
            upstream.transport.abort()
        if self.open:
            await self._emptied.wait()

    def take(self) -> Upstream | None:
        """Return the idle connection that was used last, None if there is none."""
        while self.idle:
            upstream = self.idle.pop()
            if not upstream.transport.is_closing():
                return upstream
        return None

    def release(self, upstream: Upstream, now: float) -> None:
        """Take back a connection that has answered in full."""
        upstream.exchange = None
        if (
            not self.is_live
            or upstream.generation != self.generation
            or len(self.idle) >= self.settings.max_idle_upstreams_count
            or upstream.transport.is_closing()
        ):
            upstream.transport.close()
            return
        upstream.is_fresh = False
        upstream.idle_since = now
        self.idle.append(upstream)

    def drop(self, upstream: Upstream) -> None:
        """Cut a connection that is of no further use."""
        upstream.exchange = None
        upstream.transport.abort()

    def forget(self, upstream: Upstream) -> None:
        """Stop counting a connection that is closed or has become a tunnel."""
        self.open.discard(upstream)
        if upstream in self.idle:
            self.idle.remove(upstream)
        if not self.open:
            self._emptied.set()

    def close_idle(self, before: float) -> None:
        """Close the connections that have been idle since ``before``."""
        while self.idle and self.idle[0].idle_since < before:
            self.idle.pop(0).transport.close()

    def connect(self, exchange: "Exchange") -> None:
        """Open a connection for ``exchange``, which hears of it or of the failure."""
        self.connecting[exchange] = asyncio.get_running_loop().create_task(self._connect(exchange))

    def stop_connecting(self, exchange: "Exchange") -> None:
        """Give up the connection that is being opened for ``exchange``, if one is."""
        task = self.connecting.pop(exchange, None)
        if task is not None:
            task.cancel()

    async def _connect(self, exchange: "Exchange") -> None:
        try:
            async with asyncio.timeout(self.settings.connect_timeout_s):
                upstream = await self._open()
        except TimeoutError:
            del self.connecting[exchange]
            exchange.unreachable(is_timeout=True)
        except OSError:
            del self.connecting[exchange]
            exchange.unreachable(is_timeout=False)
        else:
            del self.connecting[exchange]
            exchange.connected(upstream)

    async def _open(self) -> Upstream:
        loop = asyncio.get_running_loop()
        upstream = Upstream(self)
        try:
            if self.path:
                await loop.create_unix_connection(lambda: upstream, self.path)
            else:
                await loop.create_connection(lambda: upstream, self.host, self.port, ssl=self.tls)
        except BaseException:
            # Given up in the moment in which it was made, it is closed, but uvloop tells
            # its protocol of the beginning alone.
            self.forget(upstream)
            raise
        return upstream
