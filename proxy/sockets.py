"""Listen on the public port, with sockets that several processes can share.

Sockets of one port and user share its connections among them (SO_REUSEPORT),
whoever joins. So whether somebody listens there already is found out first, with
a socket that shares nothing. A connection that comes before anyone serves it waits.
"""

import errno
import socket
from collections.abc import Iterable, Iterator
from typing import Any

_Address = tuple[Any, ...]
#: The sockets that one process serves: one for each address of the host.
Listeners = list[socket.socket]

BACKLOG = 4096
_ABSENT_FAMILY = frozenset((errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT))


def listen(host: str | None, port: int, processes: int = 1) -> list[Listeners]:
    """Listen on ``port`` of ``host``, None for all addresses, for so many processes.

    Port 0 is any free one, the same for all.

    Raises:
        OSError: The address cannot be had, or somebody listens there.
    """
    found: list[Listeners] = [[] for _ in range(processes)]
    try:
        for family, address in _addresses(host, port):
            _listen_everywhere(found, family, (address[0], port_of(found) or port, *address[2:]))
    except OSError:
        close(found)
        raise
    return found


def close(found: Iterable[Listeners]) -> None:
    """Close all of them here; they listen on wherever else they are held."""
    for listeners in found:
        for one in listeners:
            one.close()


def port_of(found: list[Listeners]) -> int:
    """Return the port that they listen on, 0 if there are none."""
    return int(found[0][0].getsockname()[1]) if found[0] else 0


def _addresses(host: str | None, port: int) -> Iterator[tuple[int, _Address]]:
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, address in infos:
        if host is not None or _is_here(family, str(address[0])):
            yield family, address


def _is_here(family: int, address: str) -> bool:
    """Say whether this machine has addresses of the family."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        return error.errno not in _ABSENT_FAMILY
    return True


def _listen_everywhere(found: list[Listeners], family: int, address: _Address) -> None:
    first = _listening(family, address, shares=False)
    if len(found) == 1:
        found[0].append(first)
        return
    address = first.getsockname()
    first.close()
    for listeners in found:
        listeners.append(_listening(family, address, shares=True))


def _listening(family: int, address: _Address, *, shares: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock
