"""Listen, and end well: the proxy as its owner sees it."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from proxy.client import Client
from proxy.counts import Counts
from proxy.edge import Edge, Explain, Show
from proxy.request_ids import request_ids
from proxy.router import Router
from proxy.settings import ProxySettings
from proxy.sockets import BACKLOG, Listeners
from proxy.tls import Certificate
from proxy.tunnel import SERVICE_RESTART


class Proxy:
    """The public listener; its router says where requests go."""

    def __init__(
        self,
        *,
        router: Router,
        settings: ProxySettings,
        page: Show,
        explain: Explain | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._edge = Edge(
            router=router,
            settings=settings,
            page=page,
            explain=explain,
            clock=clock,
            new_id=request_ids(),
        )
        self._servers: list[asyncio.Server] = []
        self._sweeping: asyncio.TimerHandle | None = None

    async def serve(self, listeners: Listeners, certificate: Certificate | None = None) -> None:
        """Serve whoever connects to ``listeners``, which are closed here in the end.

        With a ``certificate`` TLS is spoken, and nothing else.
        """
        loop = asyncio.get_running_loop()
        tls: dict[str, Any] = {}
        if certificate is not None:
            tls = {
                "ssl": certificate.context,
                "ssl_handshake_timeout": self._settings.header_timeout_s,
                "ssl_shutdown_timeout": self._settings.linger_timeout_s,
            }
        for sock in listeners:
            self._servers.append(
                await loop.create_server(
                    lambda: Client(self._edge), sock=sock, backlog=BACKLOG, **tls
                )
            )
        self._edge.lag.start()
        self._sweep()

    @property
    def counts(self) -> Counts:
        """What is open at this moment, and what there has been."""
        return self._edge.counts

    async def drain(self, *, keeps_idle: bool = False) -> None:
        """Stop accepting, finish what is open, then close everything.

        Open requests and WebSockets get ``drain_timeout_s`` to end by themselves;
        then WebSockets are closed with 1012 and requests are cut. With ``keeps_idle``
        idle connections get that time too, to carry one last request: who sends one
        in the moment in which its connection is closed would lose it.
        """
        edge = self._edge
        edge.is_draining = True
        self._stop_listening()
        if not keeps_idle:
            for client in list(edge.clients):
                client.close_if_idle()
        if not await self._becomes_quiet(self._settings.drain_timeout_s):
            for tunnel in list(edge.tunnels):
                tunnel.end(SERVICE_RESTART)
            for client in list(edge.clients):
                if not client.close_if_idle():
                    client.break_off()
            await self._becomes_quiet(2 * self._settings.linger_timeout_s)
        await self.abort()

    async def abort(self) -> None:
        """Close everything at once."""
        edge = self._edge
        edge.is_draining = True
        self._stop_listening()
        for tunnel in list(edge.tunnels):
            tunnel.abort()
        for client in list(edge.clients):
            client.transport.abort()
        await self._becomes_quiet(self._settings.linger_timeout_s)
        await edge.close()
        edge.lag.stop()
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None

    async def _becomes_quiet(self, timeout_s: float) -> bool:
        edge = self._edge
        edge.quiet.clear()
        edge.check_quiet()
        try:
            async with asyncio.timeout(timeout_s):
                await edge.quiet.wait()
        except TimeoutError:
            return False
        return True

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()

    def _sweep(self) -> None:
        self._edge.sweep()
        loop = asyncio.get_running_loop()
        self._sweeping = loop.call_later(self._edge.sweep_interval_s(), self._sweep)

    def __repr__(self) -> str:
        counts = self.counts
        return (
            f"<Proxy connections={counts.connections} requests={counts.requests}"
            f" websockets={counts.websockets} idle_upstreams={counts.idle_upstreams}>"
        )
