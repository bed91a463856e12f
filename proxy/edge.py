"""Hold what every connection of one proxy shares: settings, deadlines, answers."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from ipaddress import IPv6Address, ip_address
from typing import Any

from proxy.absence import absent
from proxy.client import Client
from proxy.cors import Cors
from proxy.counts import Counts
from proxy.errors import HTML, Answer, EdgeError, Page, render_head, render_json
from proxy.lag import Lag
from proxy.request import Request
from proxy.request_head import HeaderReader, Headers, Peer
from proxy.request_ids import NewId
from proxy.router import Router
from proxy.settings import ProxySettings
from proxy.tunnel import Tunnel
from proxy.upstream import Target

log = logging.getLogger(__name__)

_LONGEST_SWEEP_S = 1.0

#: Gives what a person reads of an error who made a request.
Show = Callable[[EdgeError, Request], Page]

#: Gives what is answered in place of an error, or None if the error may speak for itself.
Explain = Callable[[EdgeError, Request], Awaitable[Answer] | None]


class Edge:
    """The state that connections share.

    The mutable state is the open ``clients`` and ``tunnels``, the tasks of answers
    that are waited for, and what has been counted.
    """

    def __init__(
        self,
        *,
        router: Router,
        settings: ProxySettings,
        page: Show,
        explain: Explain | None,
        clock: Callable[[], float],
        new_id: NewId,
    ) -> None:
        self.router = router
        self.find = router.find  # asked for each request
        self.answers_preflights = router.answers_origins
        self.settings = settings
        self.page = page
        self.explain = explain
        self.clock = clock
        self.cors = Cors(settings.cors_origins, settings.cors_max_age_s)
        self.reader = HeaderReader(
            cors=self.cors,
            own_cookies_prefix=settings.own_cookies_prefix.encode(),
            max_headers_count=settings.max_headers_count,
        )
        self.new_id = new_id
        self.clients: set[Client] = set()
        self.tunnels: set[Tunnel] = set()
        self.requests = 0
        self.websockets = 0
        # Answers by their code: of environments, of other targets, of our own.
        self.environment_answers: dict[bytes, int] = {}
        self.other_answers: dict[bytes, int] = {}
        self.own_answers: dict[bytes, int] = {}
        self.opened_websockets = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.lag = Lag()
        self.is_draining = False
        self.quiet = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def counts(self) -> Counts:
        """What is open at this moment, and what there has been."""
        targets = tuple(self.router.targets())
        idle = sum(len(target.idle) for target in targets)
        opened = sum(len(target.open) + len(target.connecting) for target in targets)
        return Counts(
            connections=len(self.clients) + len(self.tunnels),
            requests=sum(client.exchange is not None for client in self.clients),
            websockets=len(self.tunnels),
            idle_upstreams=idle,
            busy_upstreams=opened - idle,
            tasks=len(asyncio.all_tasks()),
            all_requests=self.requests,
            all_websockets=self.websockets,
            environment_answers=_legible(self.environment_answers),
            other_answers=_legible(self.other_answers),
            edge_answers=_legible(self.own_answers),
            opened_websockets=self.opened_websockets,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            lags=dict(self.lag.counts),
            lag_s=self.lag.sum_s,
        )

    def peer(self, address: str, *, is_tls: bool) -> Peer:
        """Return who ``address`` is to us."""
        scheme = b"https" if is_tls else b"http"
        if not self.settings.trusted_proxies:
            return Peer(address.encode(), is_trusted=False, scheme=scheme)
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return Peer(address.encode(), is_trusted=False, scheme=scheme)
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        is_trusted = any(ip in network for network in self.settings.trusted_proxies)
        return Peer(str(ip).encode(), is_trusted=is_trusted, scheme=scheme)

    def answer(self, error: EdgeError, request: Request | None) -> Answer:
        """Return what ``error`` says to who made ``request``."""
        retry_after_s = error.retry_after_s
        if request is not None and request.headers.is_navigation and not request.is_upgrade:
            body, lines = self.page(error, request)
            return Answer(error.status, body, HTML, retry_after_s=retry_after_s, lines=lines)
        return Answer(error.status, render_json(error), retry_after_s=retry_after_s)

    def note(self, error: EdgeError, request: Request | None) -> None:
        """Log an answer of our own: a fault behind us, or what a client does wrong or late."""
        is_fault = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and error.retry_after_s is None
        level = logging.INFO if is_fault else logging.DEBUG
        if not log.isEnabledFor(level):
            return
        facts: dict[str, Any] = {"status": error.status, "code": error.code}
        if request is not None:
            facts["request"] = request.id.decode()
        if error.environment_id:
            facts |= {"environment": error.environment_id, "template": error.template}
        log.log(level, "Answered by the edge", extra={"event": "proxy.answered", **facts})

    def render(self, answer: Answer, request: Request | None, *, keep: bool) -> bytes:
        """Return the whole answer to ``request``, whose head may not have been readable."""
        status = b"%d" % answer.status
        self.own_answers[status] = self.own_answers.get(status, 0) + 1
        if request is None:
            extra = self.cors.lines(None)
        else:
            extra = request.headers.cors + b"\r\nX-Request-Id: " + request.id
        if not keep:
            extra += b"\r\nConnection: close"
        elif request is not None and request.minor == 0:
            extra += b"\r\nConnection: keep-alive"
        head = render_head(answer, extra)
        is_head = request is not None and request.method == b"HEAD"
        return head if is_head else head + answer.body

    def look_up(self, answer: Awaitable[Answer], tell: Callable[[Answer], None]) -> None:
        """Call ``tell`` with an answer that must be waited for; it may not fail."""

        async def wait() -> None:
            tell(await answer)

        task = asyncio.get_running_loop().create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def count_request(self, headers: Headers) -> None:
        """Count a request whose head could be read."""
        if headers.wants_websocket:
            self.websockets += 1
        else:
            self.requests += 1

    def count_relayed(self, target: Target, status: bytes) -> None:
        """Count an answer of ``target`` by its code."""
        answers = self.environment_answers if target.environment_id else self.other_answers
        answers[status] = answers.get(status, 0) + 1

    async def close(self) -> None:
        """Close what is not a client's: answers that are waited for, and targets."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.router.close()

    def sweep(self) -> None:
        """Act on every deadline that has passed, and on who left unseen."""
        now = self.clock()
        for client in [one for one in self.clients if one.deadline <= now]:
            client.expire(now)
        for client in absent(one for one in self.clients if one.is_held):
            client.transport.abort()
        before = now - self.settings.upstream_idle_timeout_s
        for target in self.router.targets():
            if target.idle:
                target.close_idle(before)

    def sweep_interval_s(self) -> float:
        """Return how often to sweep, so that no time is overrun by much."""
        settings = self.settings
        times = (
            settings.header_timeout_s,
            settings.body_timeout_s,
            settings.idle_timeout_s,
            settings.response_timeout_s or math.inf,
            settings.linger_timeout_s,
            settings.upstream_idle_timeout_s,
        )
        return min(_LONGEST_SWEEP_S, min(times) / 4)

    def check_quiet(self) -> None:
        """Say so if nothing is open any more."""
        if not self.clients and not self.tunnels:
            self.quiet.set()


def _legible(answers: dict[bytes, int]) -> dict[str, int]:
    return {code.decode(): number for code, number in answers.items()}
