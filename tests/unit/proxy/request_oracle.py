"""Say what must be true of whatever a visitor sends, and of what comes of it.

:func:`check_requests` plays bytes through the data path, whole and cut, to targets that
answer every request. Then it holds what was understood and what was forwarded against
what h11 and llhttp read: from what came in, and from what went out.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from proxy.settings import ProxySettings
from tests.unit.proxy.header_rules import (
    HOP_BY_HOP,
    asks_to_close,
    named_in_connection,
    without_framing,
)
from tests.unit.proxy.judges import (
    H11Server,
    Lines,
    Read,
    Reading,
    h11_requests,
    h11_responses,
    is_known_to_llhttp,
    is_upgrade_with_body,
    llhttp_requests,
)
from tests.unit.proxy.wires import ENVIRONMENT, REQUEST_ID, TOKEN, VISITOR, Asked, Wires

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
REFUSED_METHODS = {b"CONNECT", b"TRACE", b"TRACK", b"PRI"}


@dataclass
class Conversation:
    """What came of the bytes that were put in."""

    to_visitor: bytes
    ending: str
    to_targets: list[bytes]
    asked: list[Asked]
    requests: list[Read] = field(default_factory=list)  # whole ones, as the targets read them
    behind_upgrade: bytes = b""


class _Echo:
    """A target that answers each whole request with what it understood."""

    def __init__(self, requests: list[Read]) -> None:
        self.server = H11Server()
        self._requests = requests

    def __call__(self, data: bytes) -> Iterator[bytes]:
        for request in self.server.feed(data):
            self._requests.append(request)
            body = b"%b %b %d" % (*request.start, len(request.body))
            length = b"\r\nContent-Length: %d\r\n\r\n" % len(body)
            if self.server.problem == "upgrade":
                yield SWITCHING
            else:
                yield b"HTTP/1.1 200 OK" + length + (b"" if request.start[0] == b"HEAD" else body)
        assert self.server.problem in ("", "upgrade"), f"h11 cannot read it: {self.server.problem}"


def converse(
    pieces: Sequence[bytes], settings: ProxySettings | None = None, *, settles: bool = True
) -> Conversation:
    """Let a visitor send ``pieces`` to targets that answer every request."""
    requests: list[Read] = []
    echoes: list[_Echo] = []

    def listen() -> _Echo:
        echoes.append(_Echo(requests))
        return echoes[-1]

    wires = Wires(listen, settings)
    wires.arrive(pieces, settles=settles)
    return Conversation(
        wires.visitor.sent,
        wires.visitor.ending,
        [wire.sent for wire in wires.upstreams],
        wires.router.asked,
        requests,
        b"".join(echo.server.rest for echo in echoes),
    )


def check_requests(
    data: bytes, cuts: Iterable[Sequence[bytes]] = (), settings: ProxySettings | None = None
) -> Conversation:
    """Hold everything against what comes of ``data`` from a visitor; return it."""
    whole = converse([data], settings)
    for pieces in cuts:
        for settles in (True, False):
            _check_same(whole, converse(pieces, settings, settles=settles))
    _check_understood(data, whole)
    _check_forwarded(whole)
    _check_answers(data, whole)
    return whole


def _check_same(whole: Conversation, other: Conversation) -> None:
    assert other.to_visitor == whole.to_visitor
    assert other.ending == whole.ending
    assert other.asked == whole.asked
    assert other.requests == whole.requests
    assert other.behind_upgrade == whole.behind_upgrade


def _check_understood(data: bytes, talk: Conversation) -> None:
    """What was accepted, both parsers read from the same bytes, message for message."""
    _check_read_alike(talk, h11_requests(data, skips_empty_lines=True), lambda _: True)
    _check_read_alike(talk, llhttp_requests(data), is_known_to_llhttp)


def _check_read_alike(talk: Conversation, reading: Reading, knows: Callable[[bytes], bool]) -> None:
    read, sent = iter(reading.messages), iter(talk.requests)
    for asked in talk.asked:
        if not knows(asked.method):
            return
        message = next(read, None)
        if message is None and not asked.forwarded:
            return
        assert message is not None, f"accepted, and refused by a parser: {reading.problem}"
        assert message.start == (asked.method, asked.target)
        if knows is is_known_to_llhttp and is_upgrade_with_body(message):
            return
        if not asked.forwarded:
            continue
        received = next(sent, None)
        if received is None:
            assert talk.ending or not message.is_whole, "read by a parser, and not forwarded"
            return
        assert received.start == (asked.method, asked.forwarded)
        assert (message.body, message.is_whole) == (received.body, True)
        expected = forwarded_lines(message.headers, is_application=asked.is_application)
        assert without_framing(received.headers) == expected
    if reading.problem == "upgrade" and talk.requests:
        assert talk.behind_upgrade == reading.rest
    elif not reading.problem:
        assert talk.ending or next(read, None) is None, "read by a parser, and not accepted"


def _check_forwarded(talk: Conversation) -> None:
    """Both parsers read what was forwarded, alike, and nothing in it is for us alone."""
    received: list[Read] = []
    for stream in talk.to_targets:
        by_h11 = h11_requests(stream)
        assert by_h11.problem in ("", "upgrade")
        assert all(value in stream for one in by_h11.messages for _, value in one.headers)
        received += by_h11.whole
        by_llhttp = llhttp_requests(stream)
        for mine, theirs in zip(by_h11.messages, by_llhttp.messages, strict=False):
            assert mine == theirs
        if all(is_known_to_llhttp(message.start[0]) for message in by_h11.messages):
            assert by_llhttp == by_h11
        for message in by_h11.messages:
            _check_head(message.headers)
    assert sorted(received) == sorted(talk.requests)


def _check_head(headers: Lines) -> None:
    names = [name.lower() for name, _ in headers]
    assert names.count(b"host") == 1
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    assert names.count(b"x-forwarded-for") == names.count(b"x-forwarded-proto") == 1
    assert not set(names) & {b"te", b"trailer", b"keep-alive", b"proxy-authorization"}
    for name, value in headers:
        if name.lower() in (b"connection", b"upgrade"):
            assert (name, value) in ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
        if name.lower() == b"transfer-encoding":
            assert value == b"chunked"
        if name.lower() == b"x-forwarded-for":
            assert value == VISITOR.encode()


def _check_answers(data: bytes, talk: Conversation) -> None:
    """What the visitor was sent is whole answers, in order, and none of another request."""
    upgrades = {number for number, one in enumerate(talk.requests) if _is_upgrade(one)}
    accepted = list(_accepted(data, talk))
    methods = [message.start[0] for message in accepted]
    methods = [*methods[:-1], b"WS"] if upgrades else [*methods, b"GET"]
    answers = h11_responses(talk.to_visitor, methods, has_ended=False)
    assert not answers.rest
    assert answers.problem in ("", "upgrade")
    assert all(answer.is_whole for answer in answers.messages)
    echoed = [one.body for one in answers.messages if one.start == (b"200",) and one.body]
    assert echoed == [
        b"%b %b %d" % (*one.start, len(one.body))
        for number, one in enumerate(talk.requests)
        if one.start[0] != b"HEAD" and number not in upgrades
    ]
    assert talk.ending in ("", "half")
    if talk.ending:
        last = answers.messages[-1]
        assert last.values(b"connection") == [b"close"]
        assert last.start >= (b"400",) or asks_to_close(accepted[-1])


def _accepted(data: bytes, talk: Conversation) -> Iterator[Read]:
    asked = iter(talk.asked)
    for message in h11_requests(data, skips_empty_lines=True).messages:
        if message.start[0] in REFUSED_METHODS or next(asked, None) is None:
            return
        yield message


def _is_upgrade(request: Read) -> bool:
    return (b"Upgrade", b"websocket") in request.headers


def forwarded_lines(headers: Lines, *, is_application: bool) -> list[tuple[bytes, bytes]]:
    """Return what is to be forwarded of a stranger's headers, but for the framing."""
    dropped = HOP_BY_HOP | named_in_connection(headers)
    kept: list[tuple[bytes, bytes]] = []
    for name, value in headers:
        lowered = name.lower()
        if lowered in dropped or lowered in (b"forwarded", b"x-real-ip", b"x-request-id"):
            continue
        if lowered.startswith(b"x-forwarded-"):
            continue
        said = value
        if lowered == b"cookie" and not is_application and b"tmpenv-" in value.lower():
            said = _strangers_cookies(value)
        if said or not value:
            kept.append((name, said))
    hosts = [value for name, value in headers if name.lower() == b"host"]
    kept.append((b"X-Forwarded-For", VISITOR.encode()))
    kept.append((b"X-Forwarded-Proto", b"http"))
    if hosts and hosts[0]:
        kept.append((b"X-Forwarded-Host", hosts[0]))
    if not hosts:
        kept.append((b"Host", b"localhost"))
    if not is_application:
        kept.append((b"X-Forwarded-Prefix", b"/user/" + ENVIRONMENT))
    kept.append((b"X-Request-Id", REQUEST_ID))
    has_authorization = any(name.lower() == b"authorization" for name, _ in headers)
    if not (is_application or has_authorization):
        kept.append((b"Authorization", TOKEN))
    return kept


def _strangers_cookies(value: bytes) -> bytes:
    pairs = [pair.strip(b" \t") for pair in value.split(b";")]
    kept = [pair for pair in pairs if not pair.startswith(b"tmpenv-")]
    return b"; ".join(kept) if any(kept) else b""
