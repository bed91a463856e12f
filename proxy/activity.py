"""Keep the clocks of what happens in each environment.

The data path marks, the owner takes. Nothing here decides what counts as use,
and nothing is written anywhere: the owner turns the monotonic seconds into the
store's time and flushes, at most as often as it likes.
"""

from collections.abc import Callable
from dataclasses import dataclass

# Asked for by every open tab and page, for ever: they say nothing of use.
KNOWN_POLLS = frozenset(
    b"/api/" + name
    for name in (b"status", b"kernels", b"kernelspecs", b"sessions", b"terminals", b"me")
)
# JupyterLab's file browser lists its folder every ten seconds, and a page that nobody
# touches reads and writes its layout as often.
_LISTINGS = b"/api/contents"
_LAYOUTS = b"/lab/api/workspaces"


def is_poll(method: bytes, rest: bytes) -> bool:
    """Say whether a page makes such a request by itself, untouched; ``rest`` is without query."""
    if method in (b"GET", b"HEAD"):
        return rest in KNOWN_POLLS or _is_below(rest, _LISTINGS) or _is_below(rest, _LAYOUTS)
    return method == b"PUT" and _is_below(rest, _LAYOUTS)


def _is_below(rest: bytes, prefix: bytes) -> bool:
    return rest.startswith(prefix) and rest[len(prefix) : len(prefix) + 1] in (b"", b"/")


@dataclass(frozen=True, slots=True)
class ActivityEntry:
    """What is known of one environment at the moment of :meth:`ActivityLog.take`.

    A clock is None until its first mark. Bytes are those since the last take.
    """

    environment_id: str
    http: float | None
    ws_in: float | None
    ws_out: float | None
    control: float | None
    open_requests: int
    open_websockets: int
    bytes_in: int
    bytes_out: int


class Clocks:
    """The running clocks of one environment; the data path holds and sets them."""

    __slots__ = (
        "_is_dirty",
        "_log",
        "bytes_in",
        "bytes_out",
        "control",
        "environment_id",
        "http",
        "open_requests",
        "open_websockets",
        "ws_in",
        "ws_out",
    )

    def __init__(self, environment_id: str, log: "ActivityLog") -> None:
        self._log = log
        self._is_dirty = False
        self.environment_id = environment_id
        self.http: float | None = None
        self.ws_in: float | None = None
        self.ws_out: float | None = None
        self.control: float | None = None
        self.open_requests = 0
        self.open_websockets = 0
        self.bytes_in = 0
        self.bytes_out = 0

    def begin_request(self, now: float, *, counts: bool) -> None:
        """Mark that a request begins; one that does not ``counts`` is control."""
        self.open_requests += 1
        if counts:
            self.http = now
        else:
            self.control = now
        if not self._is_dirty:
            self._soil()

    def end_request(self, now: float, bytes_out: int, *, counts: bool) -> None:
        """Mark that a response ended."""
        self.open_requests -= 1
        self.bytes_out += bytes_out
        if counts:
            self.http = now
        else:
            self.control = now
        if not self._is_dirty:
            self._soil()

    def upload(self, now: float, size: int, *, counts: bool) -> None:
        """Mark bytes of a request's body."""
        if counts:
            self.http = now
        else:
            self.control = now
        self.bytes_in += size
        if not self._is_dirty:
            self._soil()

    def download(self, now: float, size: int) -> None:
        """Mark bytes of a response that goes on: an event stream, a long download."""
        self.ws_out = now
        self.bytes_out += size
        if not self._is_dirty:
            self._soil()

    def frames_in(self, now: float, size: int, *, has_data: bool) -> None:
        """Mark bytes of frames from the client."""
        self.bytes_in += size
        if has_data:
            self.ws_in = now
        else:
            self.control = now
        if not self._is_dirty:
            self._soil()

    def frames_out(self, now: float, size: int, *, has_data: bool) -> None:
        """Mark bytes of frames from the environment."""
        self.bytes_out += size
        if has_data:
            self.ws_out = now
        else:
            self.control = now
        if not self._is_dirty:
            self._soil()

    def count_websockets(self, change: int, now: float) -> None:
        """Mark that a WebSocket opened (+1) or closed (-1)."""
        self.open_websockets += change
        self.control = now
        if not self._is_dirty:
            self._soil()

    def hand_out(self, now: float) -> None:
        """Set all clocks: somebody has just been given the environment."""
        self.http = self.ws_in = self.ws_out = self.control = now
        if not self._is_dirty:
            self._soil()

    def take(self) -> ActivityEntry:
        """Return what is known and begin anew to count bytes."""
        entry = ActivityEntry(
            environment_id=self.environment_id,
            http=self.http,
            ws_in=self.ws_in,
            ws_out=self.ws_out,
            control=self.control,
            open_requests=self.open_requests,
            open_websockets=self.open_websockets,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
        )
        self._is_dirty = False
        self.bytes_in = self.bytes_out = 0
        return entry

    def retire(self) -> None:
        """Never report again: the environment has ended."""
        self._is_dirty = True

    def _soil(self) -> None:
        self._is_dirty = True
        self._log.soil(self)


class ActivityLog:
    """The clocks of all environments, and which of them moved since the last take."""

    def __init__(self, on_first: Callable[[], None] | None = None) -> None:
        self.on_first = on_first
        self._clocks: dict[str, Clocks] = {}
        self._dirty: list[Clocks] = []

    def of(self, environment_id: str) -> Clocks:
        """Return the clocks of ``environment_id``, made on first use."""
        clocks = self._clocks.get(environment_id)
        if clocks is None:
            clocks = self._clocks[environment_id] = Clocks(environment_id, self)
        return clocks

    def take(self) -> list[ActivityEntry]:
        """Return what changed since the last take, and call it clean."""
        dirty, self._dirty = self._dirty, []
        return [clocks.take() for clocks in dirty]

    def forget(self, environment_id: str) -> None:
        """Drop the clocks of an environment that has ended."""
        clocks = self._clocks.pop(environment_id, None)
        if clocks is not None:
            clocks.retire()
            self._dirty = [one for one in self._dirty if one is not clocks]

    def soil(self, clocks: Clocks) -> None:
        """Hear from ``clocks`` that they moved; tell the owner if they are the first."""
        self._dirty.append(clocks)
        if len(self._dirty) == 1 and self.on_first is not None:
            self.on_first()

    def __len__(self) -> int:
        return len(self._clocks)
