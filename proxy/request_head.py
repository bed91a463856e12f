"""Read a request's head strictly, and write the one that is forwarded.

:func:`read_headers` depends on the header block and the peer alone, and a
browser repeats its headers on a connection. So a connection keeps the last
block with what was read from it, and a repeated one costs a comparison.

What can be read in two ways is refused, never repaired (RFC 9112 §11.2).
"""

import re
from dataclasses import dataclass

from proxy.cors import Cors
from proxy.errors import Refusal, bad_request
from proxy.framing import CHUNKED
from proxy.grammar import (
    BLOCK,
    HOP_BY_HOP,
    LENGTH,
    line_finder,
    options,
    without,
    without_named,
)

_FORWARDED = (b"forwarded", b"x-forwarded-*", b"x-real-ip", b"x-request-id")
_READ = (
    b"accept",
    b"access-control-request-method",
    b"authorization",
    b"content-length",
    b"cookie",
    b"expect",
    b"host",
    b"origin",
    b"sec-fetch-mode",
)
_FINDER = line_finder((*HOP_BY_HOP, *_FORWARDED, *_READ))
# From a trusted peer these are merged with ours; its other claims are kept.
_MERGED = frozenset(
    (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-prefix")
)

Found = dict[bytes, list[bytes]]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is on the other end of a client connection."""

    address: bytes
    is_trusted: bool


@dataclass(slots=True)
class Headers:
    """What a header block says, and the blocks that are forwarded for it."""

    kept: bytes  # to an environment
    kept_whole: bytes  # to the application: our own cookies are still in it
    length: int
    has_host: bool
    has_authorization: bool
    closes: bool
    keeps_alive: bool
    wants_websocket: bool
    expects_continue: bool
    is_navigation: bool
    origin: bytes | None
    is_preflight: bool
    requested_headers: bytes
    cors: bytes  # header lines for every answer
    outer_prefix: bytes  # what a trusted peer took off the path before us


class HeaderReader:
    """Reads header blocks under one set of settings."""

    def __init__(self, *, cors: Cors, own_cookies_prefix: bytes, max_headers_count: int) -> None:
        self._cors = cors
        self._own_cookies_prefix = own_cookies_prefix
        self._max_headers_count = max_headers_count

    def read(self, block: bytes, peer: Peer) -> Headers:
        """Return what ``block`` says when ``peer`` sends it.

        Raises:
            Refusal: The block is malformed, ambiguous or too long.
        """
        if not BLOCK.fullmatch(block):
            raise bad_request("A header line is malformed.")
        if block.count(b"\r\n") > self._max_headers_count:
            raise Refusal(431, "too_many_headers", "The request has too many headers.")
        found, spans, own_cookies = self._find(block, peer)
        connection = options(found.get(b"connection", ()))
        ours = _forwarding_lines(found, peer)
        kept = without_named(without(block, spans), connection)
        origin = found.get(b"origin", [None])[0]
        return Headers(
            kept=self._without_own_cookies(kept) + ours if own_cookies else kept + ours,
            kept_whole=kept + ours,
            length=_read_length(found),
            has_host=_read_host(found) is not None,
            has_authorization=b"authorization" in found,
            closes=b"close" in connection,
            keeps_alive=b"keep-alive" in connection,
            wants_websocket=b"upgrade" in connection
            and b"websocket" in options(found.get(b"upgrade", ())),
            expects_continue=b"expect" in found,
            is_navigation=_is_navigation(found),
            origin=origin,
            is_preflight=origin is not None and b"access-control-request-method" in found,
            requested_headers=_requested_headers(block, found),
            cors=self._cors.lines(origin),
            outer_prefix=found.get(b"x-forwarded-prefix", [b""])[0] if peer.is_trusted else b"",
        )

    def _find(self, block: bytes, peer: Peer) -> tuple[Found, list[tuple[int, int]], bool]:
        found: Found = {}
        spans: list[tuple[int, int]] = []
        own_cookies = False
        for match in _FINDER.finditer(block.lower()):
            name = match[1]
            start, end = match.span(2)
            value = block[start:end].strip(b" \t")
            found.setdefault(name, []).append(value)
            if name in HOP_BY_HOP or _is_claim(name, peer):
                spans.append(match.span())
            elif name == b"cookie" and self._own_cookies_prefix in value:
                own_cookies = True
        return found, spans, own_cookies

    def _without_own_cookies(self, block: bytes) -> bytes:
        lines = block.split(b"\r\n")
        for index, line in enumerate(lines):
            name, _, value = line.partition(b":")
            if name.lower() == b"cookie":
                pairs = [pair.strip(b" \t") for pair in value.split(b";")]
                kept = [pair for pair in pairs if not pair.startswith(self._own_cookies_prefix)]
                lines[index] = name + b": " + b"; ".join(kept) if any(kept) else b""
        return b"".join(b"\r\n" + line for line in lines if line)


def _is_claim(name: bytes, peer: Peer) -> bool:
    if peer.is_trusted:
        return name in _MERGED
    return name.startswith((b"forwarded", b"x-forwarded-", b"x-real-ip", b"x-request-id"))


def _forwarding_lines(found: Found, peer: Peer) -> bytes:
    theirs: Found = found if peer.is_trusted else {}
    addresses = b", ".join([*theirs.get(b"x-forwarded-for", ()), peer.address])
    scheme = theirs.get(b"x-forwarded-proto", [b"http"])[0]
    host = theirs.get(b"x-forwarded-host", found.get(b"host", [b""]))[0]
    lines = b"\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b" % (addresses, scheme)
    return lines + b"\r\nX-Forwarded-Host: " + host if host else lines


def _read_length(found: Found) -> int:
    lengths = found.get(b"content-length", [])
    codings = found.get(b"transfer-encoding", [])
    if codings:
        if lengths or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise bad_request("The body's framing is ambiguous.")
        return CHUNKED
    if not lengths:
        return 0
    if len(lengths) > 1 or not LENGTH.fullmatch(lengths[0]):
        raise bad_request("Content-Length is malformed or repeated.")
    return int(lengths[0])


def _read_host(found: Found) -> bytes | None:
    hosts = found.get(b"host", [])
    if len(hosts) > 1:
        raise bad_request("Host is repeated.")
    return hosts[0] if hosts else None


def _is_navigation(found: Found) -> bool:
    mode = found.get(b"sec-fetch-mode", [b"navigate"])[0]
    return mode == b"navigate" and any(
        b"text/html" in accept for accept in found.get(b"accept", ())
    )


def _requested_headers(block: bytes, found: Found) -> bytes:
    if b"access-control-request-method" not in found:
        return b""
    match = re.search(rb"(?i)\r\naccess-control-request-headers:[ \t]*([^\r]*)", block)
    return match[1].strip(b" \t") if match else b""
