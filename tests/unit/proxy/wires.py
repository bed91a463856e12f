"""Drive the data path by hand: the real protocols, over transports that only remember.

There is no socket and no loop that turns by itself. What arrives is put in with
:meth:`Wires.arrive`; what a loop would call later (a connection that opens, the end of
one that was closed) is done by :meth:`Wires.settle`, in order. So the same pieces give
the same bytes, always, and a whole conversation takes a fraction of a millisecond.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

from proxy.activity import ActivityLog
from proxy.client import Client
from proxy.edge import Edge
from proxy.errors import EdgeError, Page
from proxy.exchange import Exchange
from proxy.request import Request
from proxy.router import Found
from proxy.routes import Route, Standing
from proxy.settings import ProxySettings
from proxy.target import TargetReader
from proxy.upstream import Target, Upstream

VISITOR = "192.0.2.1"
ENVIRONMENT = b"abc"
HOST, PORT = "10.0.0.5", 8888
TOKEN = b"token s3cret"
REQUEST_ID = b"request-1"

#: Hears what one connection to a target was sent, and says what is answered.
Listener = Callable[[bytes], Iterable[bytes]]


class Wire(asyncio.Transport):
    """A connection's end in the proxy: what was written to it, and how it ended."""

    def __init__(self, wires: "Wires", listener: Listener | None = None) -> None:
        super().__init__()
        self.sent = b""
        self.ending = ""  # "half" closed, "closed" or "cut"
        self._wires = wires
        self._listener = listener
        self._protocol: Any = None
        self._is_reading = True
        self._arrived: deque[bytes] = deque()
        self._has_ended = False  # the other side sends nothing more

    def join(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        protocol.connection_made(self)

    def arrive(self, data: bytes) -> None:
        if data:
            self._arrived.append(data)

    def arrive_end(self) -> None:
        self._has_ended = True

    def turn(self) -> bool:
        """Deliver what has arrived, if it is read; say whether anything was."""
        if self.ending in ("closed", "cut") or not self._is_reading:
            return False
        if self._arrived:
            self._protocol.data_received(self._arrived.popleft())
            return True
        if self._has_ended:
            self._has_ended = False
            if not self._protocol.eof_received():
                self.close()
            return True
        return False

    # ---- what a protocol calls

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return (VISITOR, 40_000) if name == "peername" else default

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast("asyncio.BaseProtocol", self._protocol)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        if self.ending == "half":
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.ending:
            return
        self.sent += data
        if self._listener is not None:
            self._wires.later(lambda: self._hear(bytes(data)))

    def _hear(self, data: bytes) -> None:
        assert self._listener is not None
        for piece in self._listener(data):
            self.arrive(piece) if piece else self.arrive_end()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ending = self.ending or "half"

    def is_closing(self) -> bool:
        return self.ending in ("closed", "cut")

    def close(self) -> None:
        self._end("closed")

    def abort(self) -> None:
        self._end("cut")

    def _end(self, how: str) -> None:
        if not self.is_closing():
            self._wires.later(lambda: self._protocol.connection_lost(None))
            # What was closed in both ways is no more than that.
            self.ending = how if self.ending != "half" else "closed"

    def is_reading(self) -> bool:
        return self._is_reading

    def pause_reading(self) -> None:
        self._is_reading = False

    def resume_reading(self) -> None:
        self._is_reading = True


class WiredTarget(Target):
    """A target whose connections are wires, and open when the loop would next turn."""

    def __init__(self, wires: "Wires", *, environment_id: bytes = b"") -> None:
        prefix = b"/user/" + environment_id if environment_id else b""
        super().__init__(wires.settings, environment_id=environment_id, prefix=prefix)
        self._wires = wires
        self._opening: set[Exchange] = set()

    def open_idle(self) -> None:
        self.release(self._opened(), 0.0)

    def connect(self, exchange: Exchange) -> None:
        self._opening.add(exchange)
        self._wires.later(lambda: self._connected(exchange))

    def stop_connecting(self, exchange: Exchange) -> None:
        self._opening.discard(exchange)

    def _connected(self, exchange: Exchange) -> None:
        if exchange in self._opening:
            self._opening.remove(exchange)
            exchange.connected(self._opened())

    def _opened(self) -> Upstream:
        upstream = Upstream(self)
        wire = Wire(self._wires, self._wires.listen())
        wire.join(upstream)
        self._wires.upstreams.append(wire)
        return upstream


class _Times(asyncio.AbstractEventLoop):
    """The one thing of a running loop that the data path asks for: a call in time."""

    def __init__(self, wires: "Wires") -> None:
        self._wires = wires

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        self._wires.timed.append(lambda: callback(*args))


class Asked(NamedTuple):
    """A request that was accepted, and what is sent for it to a target, if anything."""

    method: bytes
    target: bytes
    forwarded: bytes
    is_application: bool


class WiredRouter:
    """Knows one environment and the application; remembers what it was asked."""

    answers_origins = True

    def __init__(self, environment: Target, application: Target) -> None:
        self.asked: list[Asked] = []
        self._reader = TargetReader()
        self._environment = environment
        self._application = application

    def find(self, request: Request) -> Found | None:
        asked = Asked(request.method, request.target, b"", is_application=False)
        self.asked.append(asked)  # also if its target is refused
        request.destination = destination = self._reader.read(request.target)
        if destination.environment_id not in (b"", ENVIRONMENT):
            return EdgeError(410, "gone", "The environment has ended.")
        is_application = not destination.environment_id
        if not request.is_preflight:
            self.asked[-1] = Asked(
                request.method, request.target, destination.target, is_application
            )
        return self._application if is_application else self._environment

    def ask(self, request: Request, answer: Callable[[Found], None]) -> None:
        raise AssertionError("everything is known")

    def why_not(self, request: Request) -> EdgeError:
        raise AssertionError("nothing goes away")

    def refused(self, target: Target) -> None:
        raise AssertionError("nothing refuses")

    def targets(self) -> Iterable[Target]:
        return (self._environment, self._application)

    async def close(self) -> None:
        """Nothing is open but wires."""


class Wires:
    """A visitor's connection, and those that are made to targets because of it."""

    def __init__(
        self,
        listen: Callable[[], Listener],
        settings: ProxySettings | None = None,
        *,
        idle: int = 1,
    ) -> None:
        self.settings = settings or ProxySettings()
        self.listen = listen
        self.upstreams: list[Wire] = []
        self.timed: list[Callable[[], None]] = []  # what is to be called in time
        self._later: deque[Callable[[], None]] = deque()
        self._times = _Times(self)
        self.target = WiredTarget(self, environment_id=ENVIRONMENT)
        self.target.lead_to(
            Route(ENVIRONMENT.decode(), Standing.LIVE, HOST, PORT, authorization=TOKEN)
        )
        self.activity = ActivityLog()
        self.target.clocks = self.activity.of(ENVIRONMENT.decode())
        application = WiredTarget(self)
        application.is_live = True
        for _ in range(idle):
            self.target.open_idle()
            application.open_idle()
        self.router = WiredRouter(self.target, application)
        self.edge = Edge(
            router=self.router,
            settings=self.settings,
            page=lambda error, _request: Page(b"<p>" + error.code.encode(), b""),
            explain=None,
            clock=lambda: 1.0,
            new_id=lambda: REQUEST_ID,
        )
        self.client = Client(self.edge)
        self.visitor = Wire(self)
        self.visitor.join(self.client)

    def later(self, call: Callable[[], None]) -> None:
        self._later.append(call)

    def arrive(self, pieces: Sequence[bytes], *, settles: bool = True) -> None:
        """Put in what the visitor sends; the targets answer in between if ``settles``."""
        for piece in pieces:
            self.visitor.arrive(piece)
            self.settle() if settles else self.run(self.visitor.turn)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that is going to, but for what takes time."""
        self.run(self._settle)

    def pass_time(self) -> None:
        """Let what was to be called in time be called."""
        timed, self.timed = self.timed, []
        for call in timed:
            call()
        self.settle()

    def _settle(self) -> None:
        while self._later or any(wire.turn() for wire in (self.visitor, *self.upstreams)):
            while self._later:
                self._later.popleft()()

    def run(self, call: Callable[[], object]) -> None:
        """Call what may ask for the running loop."""
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self._times)
        try:
            call()
        finally:
            asyncio._set_running_loop(outer)
