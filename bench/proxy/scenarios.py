"""Name what is measured: which load, on which backend, with how many routes. Pure.

The scenarios of one group are measured in the same rounds, in turn, because
they are compared with each other.
"""

from dataclasses import dataclass
from typing import Literal

KIB = 1024
MIB = 1024 * KIB
ROUTES = (10, 10_000, 100_000)
SMALL_GETS = (1, 32, 256)  # connections
ECHOES = (1, 32, 256)  # connections
PEERS = ("nginx", "haproxy", "chp", "tmpenv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Visitors that ask again as soon as they are answered."""

    connections: int
    download_bytes: int = 0  # none is a small answer
    upload_bytes: int = 0
    is_varied: bool = False  # a header differs in each request
    closes: bool = False  # a new connection for each request
    least_seconds: int = 1  # that a round takes, for some request to end in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Echoes:
    """WebSockets, each of which sends again as soon as its message is back."""

    connections: int
    message_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleWebSockets:
    """WebSockets that are opened and then lie still."""

    connections: int


Load = Requests | Echoes | IdleWebSockets
Unit = Literal["request", "MiB", "message", "WebSocket"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One line of the table, for each of its proxies."""

    name: str
    title: str
    load: Load
    peers: tuple[str, ...] = PEERS
    routes: int = 1
    #: Ours has known its routes from a Redis that is gone.
    is_without_redis: bool = False

    @property
    def unit(self) -> Unit:
        """What is counted."""
        if isinstance(self.load, Echoes):
            return "message"
        if isinstance(self.load, IdleWebSockets):
            return "WebSocket"
        return "MiB" if self.load.download_bytes or self.load.upload_bytes else "request"


Group = tuple[Scenario, ...]


def _connections(number: int) -> str:
    return f"{number} connection{'s' * (number > 1)}"


def _small_gets() -> tuple[Group, ...]:
    peers = (*PEERS, "tmpenv-proxy")
    plain = [
        Scenario(
            name=f"get-{number}",
            title=f"small GET, {_connections(number)}",
            load=Requests(connections=number),
            peers=peers,
        )
        for number in SMALL_GETS
    ]
    varied = Scenario(
        name="get-32-varied",
        title="small GET, 32 connections, headers differ",
        load=Requests(connections=32, is_varied=True),
        peers=peers,
    )
    without_redis = Scenario(
        name="get-32-no-redis",
        title="small GET, 32 connections, Redis absent",
        load=Requests(connections=32),
        is_without_redis=True,
    )
    connecting = Scenario(
        name="connect-32",
        title="small GET, 32 at a time, new connection each",
        load=Requests(connections=32, closes=True),
    )
    return (plain[0],), (plain[1], varied, without_redis), (plain[2],), (connecting,)


def _bodies() -> tuple[Group, ...]:
    groups: list[Group] = []
    for size, text, number in (
        (64 * KIB, "64 KiB", 8),
        (MIB, "1 MiB", 8),
        (100 * MIB, "100 MiB", 2),
    ):
        name, shown = _name(text), f"{text}, {_connections(number)}"
        seconds = 3 if size > 10 * MIB else 1
        down = Requests(connections=number, download_bytes=size, least_seconds=seconds)
        up = Requests(connections=number, upload_bytes=size, least_seconds=seconds)
        groups.append((Scenario(name=f"down-{name}", title=f"download {shown}", load=down),))
        groups.append((Scenario(name=f"up-{name}", title=f"upload {shown}", load=up),))
    return tuple(groups)


def _websockets() -> tuple[Group, ...]:
    echoes = (
        Scenario(
            name=f"echo-{_name(text)}-{number}",
            title=f"WebSocket echo {text}, {_connections(number)}",
            load=Echoes(connections=number, message_bytes=size),
        )
        for size, text in ((100, "100 B"), (64 * KIB, "64 KiB"))
        for number in ECHOES
    )
    idle = Scenario(
        name="idle-2000",
        title="2 000 idle WebSockets",
        load=IdleWebSockets(connections=2000),
    )
    return (*((echo,) for echo in echoes), (idle,))


def _routes() -> Group:
    return tuple(
        Scenario(
            name=f"routes-{number}",
            title=f"small GET, 32 connections, {f'{number:,}'.replace(',', ' ')} routes",
            load=Requests(connections=32),
            routes=number,
        )
        for number in ROUTES
    )


def _name(text: str) -> str:
    return text.replace(" ", "").lower()


GROUPS: tuple[Group, ...] = (*_small_gets(), *_bodies(), *_websockets(), _routes())
#: What tells most in two minutes. Putting a hundred thousand routes alone takes one.
QUICK = frozenset(
    {
        *("get-32", "get-32-varied", "get-32-no-redis", "down-1mib"),
        *("echo-100b-256", "idle-2000", "routes-10", "routes-10000"),
    }
)
