"""Read HTTP/1.1 with two parsers of other hands, h11 and llhttp.

Each reads a connection's bytes into the messages on it, up to where it ends, breaks or
turns into something else. Neither is ours, and neither knows the other.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import h11
import httptools

Lines = tuple[tuple[bytes, bytes], ...]


class Read(NamedTuple):
    """One message, as a parser understood it."""

    start: tuple[bytes, ...]  # method and target, or the status
    version: bytes  # "1.1"
    headers: Lines
    body: bytes
    is_whole: bool

    def values(self, name: bytes) -> list[bytes]:
        return [value for other, value in self.headers if other.lower() == name]


class Reading(NamedTuple):
    """What a parser made of a connection."""

    messages: list[Read]
    problem: str  # why it read no further; empty if it would
    rest: bytes  # what is no part of a message: behind an upgrade, or not whole yet

    @property
    def whole(self) -> list[Read]:
        """Return the messages whose end was found."""
        return [message for message in self.messages if message.is_whole]


# ---- h11


class H11Server:
    """Reads requests as they arrive, on one connection."""

    def __init__(self, *, skips_empty_lines: bool = False) -> None:
        self.problem = ""
        self.rest = b""  # what came behind an upgrade
        self._skips_empty_lines = skips_empty_lines
        self._begin(b"")

    def _begin(self, data: bytes) -> None:
        if self._skips_empty_lines and data.startswith(b"\r\n"):
            data = re.sub(rb"\A(?:\r\n)+", b"", data)
        self._connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self._event = _Message()
        if data:
            self._connection.receive_data(data)

    def feed(self, data: bytes) -> Iterator[Read]:
        """Yield the requests that are whole now."""
        if self.problem:
            self.rest += data
            return
        if self._event.start:
            self._connection.receive_data(data)
        else:
            self._begin(self._connection.trailing_data[0] + data)
        while not self.problem and self._event.read(self._connection):
            message = self._event.message()
            rest = self._connection.trailing_data[0]
            if _asks_for_websocket(message):
                self.problem, self.rest = "upgrade", rest
            else:
                self._begin(rest)
            yield message
        self.problem = self.problem or self._event.problem

    @property
    def unfinished(self) -> list[Read]:
        """Return the request whose head alone is whole, if there is one."""
        event = self._event
        return [event.message()] if event.start and not event.is_whole else []


def h11_requests(data: bytes, *, skips_empty_lines: bool = False) -> Reading:
    """Return what h11, as a server, reads from ``data``.

    Alone it does not skip empty lines before a head, as servers should (RFC 9112 §2.2).
    """
    server = H11Server(skips_empty_lines=skips_empty_lines)
    messages = list(server.feed(data))
    return Reading(messages + server.unfinished, server.problem, server.rest)


def h11_responses(data: bytes, methods: Sequence[bytes], *, has_ended: bool) -> Reading:
    """Return what h11, as a client that sent requests of ``methods``, reads from ``data``."""
    messages: list[Read] = []
    for method in methods:
        connection = _h11_client(method)
        if data:
            connection.receive_data(data)
        if has_ended:
            connection.receive_data(b"")
        event = _Message()
        while event.read(connection):
            messages.append(event.message())
            if event.start == (b"101",):
                return Reading(messages, "upgrade", connection.trailing_data[0])
            if not event.start[0].startswith(b"1"):
                break
            event = _Message()
        if not event.is_whole:
            if event.start:
                messages.append(event.message())
            return Reading(messages, event.problem, b"" if event.start else data)
        data = connection.trailing_data[0]
    return Reading(messages, "", data)


def _h11_client(method: bytes) -> h11.Connection:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    headers = [("Host", "h")]
    if method == b"WS":
        headers += [("Connection", "upgrade"), ("Upgrade", "websocket")]
    verb = b"GET" if method == b"WS" else method
    connection.send(h11.Request(method=verb, target="/", headers=headers))
    connection.send(h11.EndOfMessage())
    return connection


class _Message:
    """A message on its way out of h11."""

    def __init__(self) -> None:
        self.start: tuple[bytes, ...] = ()
        self.version = b""
        self.headers: Lines = ()
        self.body = b""
        self.is_whole = False
        self.problem = ""

    def message(self) -> Read:
        return Read(self.start, self.version, self.headers, self.body, is_whole=self.is_whole)

    def read(self, connection: h11.Connection) -> bool:
        """Read what has arrived; say whether the message is whole."""
        try:
            while not self.is_whole:
                event = connection.next_event()
                if isinstance(event, h11.Request):
                    self.start = (event.method, event.target)
                    self.version, self.headers = event.http_version, _lines(event)
                elif isinstance(event, h11.InformationalResponse | h11.Response):
                    self.start = (b"%d" % event.status_code,)
                    self.version, self.headers = event.http_version, _lines(event)
                    self.is_whole = isinstance(event, h11.InformationalResponse)
                elif isinstance(event, h11.Data):
                    self.body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    self.is_whole = True
                else:
                    break
        except h11.RemoteProtocolError as error:
            self.problem = str(error) or "refused"
        return self.is_whole


def _lines(event: h11.Request | h11.Response | h11.InformationalResponse) -> Lines:
    return tuple((bytes(name), bytes(value)) for name, value in event.headers.raw_items())


# ---- llhttp


class _Heard:
    """What llhttp calls out while it reads."""

    def __init__(self) -> None:
        self.messages: list[Read] = []
        self.parser: httptools.HttpRequestParser | httptools.HttpResponseParser
        self.is_open = False
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._lines: list[tuple[bytes, bytes]] = []
        self._body = b""
        self._are_headers_whole = False

    def on_message_begin(self) -> None:
        self._begin()
        self.is_open = True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._are_headers_whole:  # else it is a trailer's
            self._lines.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self._are_headers_whole = True

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._add(is_whole=True)
        self.is_open = False

    def _add(self, *, is_whole: bool) -> None:
        if isinstance(self.parser, httptools.HttpResponseParser):
            start: tuple[bytes, ...] = (b"%d" % self.parser.get_status_code(),)
        else:
            start = (self.parser.get_method(), self._target)
        version = self.parser.get_http_version().encode()
        self.messages.append(
            Read(start, version, tuple(self._lines), self._body, is_whole=is_whole)
        )

    def end(self) -> None:
        """Count a message whose head alone is whole."""
        if self.is_open and self._are_headers_whole:
            self._add(is_whole=False)


def llhttp_requests(data: bytes) -> Reading:
    """Return what llhttp reads from ``data``, going on behind upgrades it would pause at."""
    messages: list[Read] = []
    while True:
        reading = _llhttp(httptools.HttpRequestParser, data)
        messages += reading.messages
        if reading.problem != "upgrade":
            return Reading(messages, reading.problem, reading.rest)
        if _asks_for_websocket(reading.messages[-1]):
            return Reading(messages, "upgrade", reading.rest)
        data = reading.rest


def llhttp_responses(data: bytes) -> Reading:
    """Return what llhttp reads from ``data``, the answers to requests that are not HEAD."""
    return _llhttp(httptools.HttpResponseParser, data)


def _llhttp(make: type, data: bytes) -> Reading:
    heard = _Heard()
    heard.parser = make(heard)
    problem, rest = "", b""
    try:
        heard.parser.feed_data(data)
    except httptools.HttpParserUpgrade as upgrade:
        problem, rest = "upgrade", data[upgrade.args[0] :]
    except httptools.HttpParserError as error:
        problem = repr(error)
    heard.end()
    return Reading(heard.messages, problem, rest)


def _asks_for_websocket(request: Read) -> bool:
    """Say whether what follows ``request`` is none of HTTP's (RFC 6455 §4.1)."""
    options = b",".join(request.values(b"connection")).lower().replace(b"\t", b" ").split(b",")
    protocols = b",".join(request.values(b"upgrade")).lower().replace(b"\t", b" ").split(b",")
    return (
        request.start[0] == b"GET"
        and request.version == b"1.1"
        and not request.values(b"transfer-encoding")
        and not int(b"".join(request.values(b"content-length")) or b"0")
        and b"upgrade" in {option.strip() for option in options}
        and b"websocket" in {protocol.strip() for protocol in protocols}
    )


def is_upgrade_with_body(request: Read) -> bool:
    """Say whether httptools tells llhttp that there is no body, whatever the length."""
    return bool(request.values(b"upgrade")) and bool(
        request.values(b"content-length") or request.values(b"transfer-encoding")
    )


@lru_cache(maxsize=256)
def is_known_to_llhttp(method: bytes) -> bool:
    """Say whether llhttp reads requests of ``method`` at all."""
    return not _llhttp(httptools.HttpRequestParser, method + b" / HTTP/1.1\r\nA: b\r\n\r\n").problem
