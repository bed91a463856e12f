"""The way out: a forward proxy for environments that reach listed hosts alone.

Who asks, what it may reach, and to which addresses that may lead is for its
:class:`Gatekeeper` to say; here is what a connection goes through. A name is resolved
here, and the address that was judged is the one that is connected to. What cannot be
judged is refused.
"""

import asyncio
import logging
import socket
from collections import Counter
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from proxy.forward_head import BadHead, ForwardHead, read
from spawner.backends.threads import Lane
from spawner.errors import ServiceError

log = logging.getLogger(__name__)

Address = IPv4Address | IPv6Address
_HEAD_BYTES = 16 << 10
_HEAD_S = 30.0
_CONNECT_S = 10.0
#: Without a byte in either direction.
_IDLE_S = 600.0
_CHUNK = 64 << 10
#: Connections at once: of one environment, and of all.
_EACH = 256
_ALL = 4096
_BACKLOG = 512
#: Names looked up at once, in threads that nothing else waits for.
_LOOKUPS = 16


class Permit(Protocol):
    """What one environment may reach."""

    def may_ask(self, host: str, port: int) -> bool:
        """Say whether a host may be asked for."""

    def may_reach(self, address: Address, port: int) -> bool:
        """Say whether an address may be connected to, to which an allowed host led."""

    def lists(self, address: Address, port: int) -> bool:
        """Say whether an address is allowed as such, even one of this machine."""


class Gatekeeper(Protocol):
    """Knows environments by their credentials."""

    async def admit(self, user: str, key: str) -> Permit | None:
        """Give what an environment may reach; None for whoever is none.

        Raises:
            ServiceError: It cannot be said at the moment.
        """


class Refused(Exception):
    """A request that goes nowhere: the status and the words of its answer."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Forward:
    """Serves the way out, at one address at a time."""

    def __init__(self, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper
        self._place: tuple[str, int] | None = None
        self._server: asyncio.Server | None = None
        #: Connections by the address of the environment.
        self._open = Counter[str]()
        self._names = Lane("egress-names", _LOOKUPS)
        self._serving: set[asyncio.Task[None]] = set()

    async def listen(self, host: str, port: int) -> None:
        """Listen there, and nowhere else any more; other processes may listen there too.

        Raises:
            OSError: The address is not this machine's, or the port is taken.
        """
        if self._server and self._place == (host, port):
            return
        server = await asyncio.start_server(
            self._accept, host, port, limit=_HEAD_BYTES, backlog=_BACKLOG, reuse_port=True
        )
        if self._server:
            self._server.close()
        self._server, self._place = server, (host, port)

    async def close(self) -> None:
        """Stop listening, and end what is open."""
        if self._server:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        self._names.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError):
            pass  # one of the two has gone, or was silent for too long
        finally:
            self._serving.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = str(writer.get_extra_info("peername")[0])
        self._open[peer] += 1
        try:
            self._check_room(peer)
            await self._forward(await _read_head(reader), reader, writer)
        except Refused as refusal:
            await _answer(writer, refusal)
        finally:
            self._open[peer] -= 1
            if not self._open[peer]:
                del self._open[peer]

    def _check_room(self, peer: str) -> None:
        if self._open[peer] > _EACH or len(self._serving) > _ALL:
            raise Refused("503 Service Unavailable", "there are too many connections")

    async def _forward(
        self, head: ForwardHead, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        onward_reader, onward_writer = await self._reach(head)
        try:
            if head.onward:
                onward_writer.write(head.onward)
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await _relay((reader, writer), (onward_reader, onward_writer))
        finally:
            onward_writer.close()

    async def _reach(self, head: ForwardHead) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to where a request wants to go, if it may.

        Raises:
            Refused: It may not, or nobody answers there.
        """
        try:
            permit = await self._gatekeeper.admit(head.user, head.key)
        except ServiceError as error:
            raise Refused("503 Service Unavailable", str(error)) from error
        if permit is None:
            raise Refused("407 Proxy Authentication Required", "the credentials are not known")
        if not permit.may_ask(head.host, head.port):
            raise _refuse(head, "403 Forbidden", "the host is not listed")
        try:
            async with asyncio.timeout(_CONNECT_S):
                found = await self._names.run(
                    socket.getaddrinfo, head.host, head.port, type=socket.SOCK_STREAM
                )
                return await _connect(head, permit, [str(one[4][0]) for one in found])
        except TimeoutError as error:
            raise Refused("504 Gateway Timeout", "the host does not answer") from error
        except OSError as error:
            raise Refused("502 Bad Gateway", "the host cannot be reached") from error


async def _read_head(reader: asyncio.StreamReader) -> ForwardHead:
    try:
        async with asyncio.timeout(_HEAD_S):
            return read(await reader.readuntil(b"\r\n\r\n"))
    except asyncio.IncompleteReadError as error:
        raise ConnectionResetError from error
    except asyncio.LimitOverrunError as error:
        raise Refused("431 Request Header Fields Too Large", "the head is too long") from error
    except BadHead as error:
        raise Refused("400 Bad Request", str(error)) from error


async def _connect(
    head: ForwardHead, permit: Permit, found: list[str]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first address of those found that may be reached and answers."""
    addresses = dict.fromkeys(ip_address(one) for one in found if "%" not in one)
    allowed = [one for one in addresses if permit.may_reach(one, head.port)]
    if not allowed:
        raise _refuse(head, "403 Forbidden", "the host has no address that may be reached")
    failure = OSError()
    for address in allowed:
        try:
            reader, writer = await asyncio.open_connection(str(address), head.port)
        except OSError as error:
            failure = error
            continue
        # Who talks to an address of this machine talks from it, whichever that is.
        if writer.get_extra_info("sockname")[0] == str(address) and not permit.lists(
            address, head.port
        ):
            writer.close()
            raise _refuse(head, "403 Forbidden", "the host is this machine")
        return reader, writer
    raise failure


def _refuse(head: ForwardHead, status: str, reason: str) -> Refused:
    """Log that a request of a known environment is refused; give the refusal."""
    log.info(
        "Egress refused",
        extra={
            "event": "egress.refused",
            "environment": head.user,
            "host": head.host,
            "port": head.port,
            "reason": reason,
        },
    )
    return Refused(status, reason)


async def _answer(writer: asyncio.StreamWriter, refusal: Refused) -> None:
    body = f"tmpenv: {refusal.reason}\n".encode()
    lines = [
        f"HTTP/1.1 {refusal.status}",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    if refusal.status.startswith("407"):
        lines.append('Proxy-Authenticate: Basic realm="tmpenv"')
    writer.write("\r\n".join((*lines, "", "")).encode() + body)
    async with asyncio.timeout(_HEAD_S):
        await writer.drain()


async def _relay(
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Move bytes both ways until the far side has ended, or nothing moves for long."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(_IDLE_S) as idle:

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(_CHUNK):
                sink.write(data)
                await sink.drain()  # whoever reads slowly is read from slowly
                idle.reschedule(loop.time() + _IDLE_S)
            if sink.can_write_eof():
                sink.write_eof()

        asking = asyncio.create_task(pump(near[0], far[1]))
        try:
            await pump(far[0], near[1])
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
