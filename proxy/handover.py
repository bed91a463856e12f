"""Hand the listening sockets of a running proxy to the one that follows it.

Closing a socket that listens resets what waits in its queue, also where others listen
on the same port (SO_REUSEPORT). So the follower gets the sockets themselves, and serves
them before the one that leaves lets go: no connection is refused or reset between.

Both meet at a name that is made of user and port, in Linux' abstract namespace: it is
of one network namespace, as ports are, and leaves no file behind. ::

    leaver                     follower
      listens at the name  ◄──  connects
      sockets              ──►  serves them too
      drains               ◄──  GO
      OK, the name is free ──►  listens at the name
"""

import asyncio
import logging
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

from proxy.sockets import Listeners

log = logging.getLogger(__name__)

_GO = b"go"
_OK = b"ok"
_MOST_SOCKETS = 250  # in one message; the kernel's limit is 253
_PATIENCE_S = 10.0
_CREDENTIALS = struct.Struct("3i")  # of SO_PEERCRED: pid, uid, gid


class HandoverFailed(Exception):
    """The port cannot be taken over; the text says why."""


class Followed:
    """Offers ``places`` to whoever follows.

    ``leave`` is awaited when one has taken them, before that one hears of it.
    """

    def __init__(
        self, port: int, places: list[Listeners], leave: Callable[[], Awaitable[None]]
    ) -> None:
        self._port = port
        self._places = places
        self._leave = leave
        self._listener: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    def offer(self) -> None:
        """Offer them from now on, where the system knows the means."""
        if sys.platform != "linux":
            return
        listener = socket.socket(socket.AF_UNIX)
        try:
            listener.setblocking(False)
            listener.bind(_name(self._port))
            listener.listen()
        except OSError as error:
            listener.close()
            log.warning(
                "Nobody will be able to take the port over",
                extra={"event": "handover.none", "reason": error.strerror},
            )
            return
        self._listener = listener
        self._task = asyncio.get_running_loop().create_task(self._await_followers(listener))

    async def close(self) -> None:
        """Offer them no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._listener is not None:
            self._listener.close()

    async def _await_followers(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            follower, _ = await loop.sock_accept(listener)
            with follower:
                if _is_ours(follower) and await self._is_taken(follower):
                    listener.close()
                    await self._leave()
                    with suppress(OSError):
                        await loop.sock_sendall(follower, _OK)
                    return

    async def _is_taken(self, follower: socket.socket) -> bool:
        """Give the sockets away; say whether somebody serves them now."""
        follower.setblocking(False)
        descriptors = [one.fileno() for place in self._places for one in place]
        try:
            _send(follower, descriptors)
            answer = await asyncio.get_running_loop().sock_recv(follower, len(_GO))
        except OSError:
            return False
        return answer == _GO


class Taken:
    """The sockets of the proxy that is followed, and the line to it."""

    def __init__(self, line: socket.socket, sockets: Listeners) -> None:
        self._line = line
        self._sockets = sockets

    def places(self, processes: int) -> list[Listeners]:
        """Return the sockets, for so many processes; each has some, and each socket is served."""
        places: list[Listeners] = [[] for _ in range(processes)]
        for index, one in enumerate(self._sockets):
            places[index % processes].append(one)
        for index, place in enumerate(places):
            if not place:
                place.append(self._sockets[index % len(self._sockets)].dup())
        return places

    async def follow(self) -> None:
        """Say that the sockets are served here; return when the name is free.

        Raises:
            HandoverFailed: The other one does not let go.
        """
        loop = asyncio.get_running_loop()
        self._line.setblocking(False)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await loop.sock_sendall(self._line, _GO)
                answer = await loop.sock_recv(self._line, len(_OK))
        except (OSError, TimeoutError) as error:
            raise HandoverFailed("the tmpenv that listens there does not let go") from error
        if answer != _OK:
            raise HandoverFailed("the tmpenv that listens there has ended meanwhile")

    def close(self) -> None:
        """Hang up; without :meth:`follow` the other one goes on."""
        self._line.close()


def take_over(port: int) -> Taken | None:
    """Take the sockets of whoever listens on ``port``; None if nobody of ours does.

    Raises:
        HandoverFailed: This system does not know how, or the other one says nothing.
    """
    if sys.platform != "linux":
        raise HandoverFailed("ports can be taken over on Linux alone")
    line = socket.socket(socket.AF_UNIX)
    line.settimeout(_PATIENCE_S)
    try:
        line.connect(_name(port))
        sockets = _receive(line) if _is_ours(line) else []
    except ConnectionRefusedError:
        sockets = []
    except OSError as error:
        line.close()
        raise HandoverFailed("the tmpenv that listens there says nothing") from error
    if not sockets:
        line.close()
        return None
    return Taken(line, sockets)


def _name(port: int) -> str:
    return f"\0tmpenv/{os.getuid()}/{port}"


def _is_ours(peer: socket.socket) -> bool:
    """Say whether the same user is at the other end: the name alone says nothing."""
    found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(found)[1]) == os.getuid()


def _send(peer: socket.socket, descriptors: list[int]) -> None:
    rest = descriptors
    while rest:
        part, rest = rest[:_MOST_SOCKETS], rest[_MOST_SOCKETS:]
        # The byte says whether more will follow.
        socket.send_fds(peer, [b"+" if rest else b"."], part)


def _receive(peer: socket.socket) -> Listeners:
    found: Listeners = []
    last = b"+"
    while last == b"+":
        last, descriptors, _, _ = socket.recv_fds(peer, 1, _MOST_SOCKETS)
        found += [socket.socket(fileno=one) for one in descriptors]
    return found
