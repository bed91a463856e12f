"""Say what must be true of whatever a target answers, and of what the visitor gets of it.

:func:`check_responses` plays bytes through the data path, whole and cut, as the answer to
one request. What the visitor gets is read by h11 and held against what h11 and llhttp
read from the target.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.settings import ProxySettings
from tests.unit.proxy.cookies import store_cookie
from tests.unit.proxy.header_rules import (
    HOP_BY_HOP,
    asks_to_close,
    named_in_connection,
    without_framing,
)
from tests.unit.proxy.judges import Read, Reading, h11_responses, llhttp_responses
from tests.unit.proxy.wires import Wires


@dataclass(frozen=True)
class Ask:
    """A request whose answer is played."""

    request: bytes
    method: bytes = b"GET"  # "WS" where a WebSocket is asked for
    path: bytes = b"/user/abc/lab"
    origin: bytes = b""

    @property
    def is_old(self) -> bool:
        return b" HTTP/1.0" in self.request


def _ask(method: bytes = b"GET", path: bytes = b"/user/abc/lab", more: bytes = b"") -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: h\r\n%b\r\n" % (method, path, more)


ORIGIN = b"https://page.example"
ASKS = {
    "get": Ask(_ask()),
    "head": Ask(_ask(b"HEAD"), b"HEAD"),
    "at-prefix": Ask(_ask(path=b"/user/abc"), path=b"/user/abc"),
    "cross-origin": Ask(_ask(more=b"Origin: %b\r\n" % ORIGIN), origin=ORIGIN),
    "once": Ask(_ask(more=b"Connection: close\r\n")),
    "old": Ask(b"GET /user/abc/lab HTTP/1.0\r\n\r\n"),
    "old-kept": Ask(b"GET /user/abc/lab HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
    "websocket": Ask(_ask(more=b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), b"WS"),
}
ANSWERING = ProxySettings(cors_origins=(ORIGIN.decode(),))

ALLOW = b"access-control-allow-"
SITE_WIDE = {
    b"alt-svc",
    b"clear-site-data",
    b"public-key-pins",
    b"public-key-pins-report-only",
    b"strict-transport-security",
}
JUDGED = {b"set-cookie", b"location", b"service-worker-allowed"}
EDGE_LINES = {
    b"content-type",
    b"content-length",
    b"cache-control",
    b"connection",
    b"vary",
    b"access-control-allow-origin",
    b"x-request-id",
}


@dataclass
class Answered:
    """What came of an answer."""

    to_visitor: bytes
    ending: str
    is_reusable: bool  # whether the target's connection is kept for another request


def answer(
    pieces: Sequence[bytes], ask: Ask, *, ends: bool, settings: ProxySettings = ANSWERING
) -> Answered:
    """Let a target answer ``ask`` with ``pieces``, and close if it ``ends``."""
    wires = Wires(lambda: lambda _: (), settings, idle=0)
    wires.arrive([ask.request])
    (wire,) = wires.upstreams
    for piece in pieces:
        wire.arrive(piece)
        wires.settle()
    if ends:
        wire.arrive_end()
        wires.settle()
    return Answered(wires.visitor.sent, wires.visitor.ending, bool(wires.target.idle))


def check_responses(
    data: bytes,
    ask: Ask,
    cuts: Iterable[Sequence[bytes]] = (),
    *,
    ends: bool,
    settings: ProxySettings = ANSWERING,
) -> Answered:
    """Hold everything against what comes of ``data`` from a target; return it."""
    whole = answer([data], ask, ends=ends, settings=settings)
    seen = _seen(whole, ask)
    for pieces in cuts:
        other = answer(pieces, ask, ends=ends, settings=settings)
        _check_alike(_seen(other, ask), seen, other, whole)
    assert seen.problem in ("", "upgrade") or whole.ending == "cut"
    final = seen.messages[-1] if seen.messages else None
    if final is not None and _is_refusal(final, ask):
        assert not whole.is_reusable
        return whole
    _check_relayed(data, ask, seen, whole, ends=ends)
    return whole


def _seen(answered: Answered, ask: Ask) -> Reading:
    has_ended = answered.ending in ("half", "closed")
    return h11_responses(answered.to_visitor, [ask.method], has_ended=has_ended)


def _is_refusal(answer: Read, ask: Ask) -> bool:
    """Say whether it is the edge's own, with nothing in it of what a target said."""
    is_ours = b'"bad_gateway"' in answer.body or ask.method == b"HEAD"
    names = {name.lower() for name, _ in answer.headers}
    return answer.start == (b"502",) and is_ours and names <= EDGE_LINES


def _check_alike(seen: Reading, other: Reading, mine: Answered, theirs: Answered) -> None:
    """Only where a body breaks may it matter how far it had been read before."""
    assert mine.ending == theirs.ending
    assert mine.is_reusable == theirs.is_reusable
    if b"Transfer-Encoding: chunked" not in mine.to_visitor:
        if mine.ending != "cut":
            assert mine.to_visitor == theirs.to_visitor
        return
    if mine.ending != "cut":
        assert seen == other
        return
    assert [one._replace(body=b"") for one in seen.messages] == [
        one._replace(body=b"") for one in other.messages
    ]
    bodies = (seen.messages[-1].body, other.messages[-1].body)
    assert bodies[0].startswith(bodies[1]) or bodies[1].startswith(bodies[0])


def _check_relayed(data: bytes, ask: Ask, seen: Reading, talk: Answered, *, ends: bool) -> None:
    truth = h11_responses(data, [ask.method], has_ended=ends)
    if not seen.messages:
        assert not truth.whole or ask.is_old
        return
    sent = [one for one in truth.messages if not (ask.is_old and one.start[0].startswith(b"1"))]
    assert len(seen.messages) == len(sent), f"relayed, and refused by h11: {truth.problem}"
    # llhttp takes every answer for one to GET, and an interim one that closes for the last.
    is_judged = ask.method != b"HEAD" and not any(map(asks_to_close, truth.messages[:-1]))
    judged = llhttp_responses(data).messages if is_judged else []
    if is_judged:
        assert len(judged) >= len(truth.messages), "relayed, and refused by llhttp"
    for got, told in zip(seen.messages, sent, strict=True):
        assert got.start == told.start
        assert got.version == b"1.1"
        assert got.body == told.body or talk.ending == "cut"
        assert got.is_whole == told.is_whole or (talk.ending == "cut" and not got.is_whole)
        _check_relayed_head(got, told, ask)
    for told, other in zip(truth.messages, judged, strict=False):
        assert told.start == other.start
        assert without_framing(told.headers) == without_framing(other.headers)
        assert told.body == other.body or not (told.is_whole and other.is_whole)
    if ends and not truth.messages[-1].is_whole:
        assert talk.ending == "cut"
    if seen.problem == "upgrade":
        assert seen.rest == truth.rest
    elif talk.is_reusable:
        assert truth.messages[-1].is_whole
        assert not truth.rest


def _check_relayed_head(got: Read, told: Read, ask: Ask) -> None:
    names = [name.lower() for name, _ in got.headers]
    assert names.count(b"content-length") + names.count(b"transfer-encoding") <= 1
    is_interim = got.start[0].startswith(b"1") and got.start != (b"101",)
    assert names.count(ALLOW + b"origin") == (1 if ask.origin and not is_interim else 0)
    dropped = HOP_BY_HOP | named_in_connection(told.headers) | SITE_WIDE | JUDGED
    if got.start[0] == b"204" or got.start[0].startswith(b"1"):
        assert not {b"content-length", b"transfer-encoding"} & set(names)
        dropped = dropped | {b"content-length"}
    expected = [
        (name, value)
        for name, value in told.headers
        if name.lower() not in dropped and not _is_allow(name)
    ]
    ours = {b"connection", b"transfer-encoding", b"upgrade", *JUDGED}
    kept = [
        (name, value)
        for name, value in got.headers
        if name.lower() not in ours and not _is_allow(name)
    ]
    assert kept == expected or kept == [*expected, (b"Vary", b"Origin")]
    assert _is_part(got.values(b"set-cookie"), told.values(b"set-cookie"))
    assert len(got.values(b"location")) == len(told.values(b"location"))
    for value in got.values(b"set-cookie"):
        assert_stays_inside(value, ask.path)


def _is_allow(name: bytes) -> bool:
    name = name.lower()
    return name.startswith(ALLOW) or name == b"access-control-max-age"


def _is_part(part: list[bytes], whole: list[bytes]) -> bool:
    """Say whether ``part`` is ``whole`` with some left out, in order."""
    rest = iter(whole)
    return all(one in rest for one in part)


def assert_stays_inside(set_cookie: bytes, path: bytes) -> None:
    """A browser that was at ``path`` sends the cookie to the environment alone."""
    cookie = store_cookie(set_cookie, path)
    if cookie is None:
        return
    assert cookie.is_host_only
    assert not cookie.sent.startswith(b"tmpenv-")
    for other in (b"/", b"/user", b"/user/", b"/user/abcd", b"/user/other/x", b"/api/spawn"):
        assert not cookie.goes_to(other)
