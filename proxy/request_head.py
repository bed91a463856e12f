"""Read a request's head strictly, and write the one that is forwarded.

:func:`read_headers` depends on the header block and the peer alone, and a
browser repeats its headers on a connection. So a connection keeps the last
block with what was read from it, and a repeated one costs a comparison.

What can be read in two ways is refused, never repaired (RFC 9112 §11.2).
"""

from dataclasses import dataclass

from proxy.cors import Cors
from proxy.errors import Refusal, bad_request
from proxy.framing import CHUNKED
from proxy.grammar import (
    BLOCK,
    HOP_BY_HOP,
    USUAL_OPTIONS,
    find,
    line_finder,
    named_by,
    options,
    read_length,
    without_lines,
)
from proxy.request_ids import is_request_id

_CLAIMS = (b"forwarded", b"x-forwarded-*", b"x-real-ip", b"x-request-id")
_READ = frozenset(
    (
        b"accept",
        b"access-control-request-headers",
        b"access-control-request-method",
        b"authorization",
        b"content-length",
        b"cookie",
        b"expect",
        b"host",
        b"origin",
        b"sec-fetch-mode",
        b"service-worker",
    )
)
_FINDER = line_finder((*HOP_BY_HOP, *_CLAIMS, *_READ))
# From a trusted peer these are merged with ours; its other claims are kept.
_MERGED = frozenset(
    (
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-prefix",
        b"x-forwarded-proto",
        b"x-request-id",
    )
)
_NOTHING: frozenset[bytes] = frozenset()

Found = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is on the other end of a client connection."""

    address: bytes
    is_trusted: bool
    scheme: bytes = b"http"


@dataclass(slots=True)
class Headers:
    """What a header block says, and the blocks that are forwarded for it."""

    kept: bytes  # to an environment
    kept_whole: bytes  # to the application: our own cookies are still in it
    length: int
    has_host: bool
    host: bytes
    seen_scheme: bytes  # how the visitor sees us: of the first proxy, if we trust the last
    seen_host: bytes
    has_authorization: bool
    closes: bool
    keeps_alive: bool
    wants_websocket: bool
    expects_continue: bool
    is_navigation: bool
    opens_page: bool  # what is answered runs as a page, whatever it is
    is_worker_script: bool  # what is answered runs as a service worker
    origin: bytes | None
    is_preflight: bool
    requested_headers: bytes
    cors: bytes  # header lines for every answer
    outer_prefix: bytes  # what a trusted peer took off the path before us
    request_id: bytes  # what a trusted peer named the request; empty if it did not


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
        most = self._max_headers_count
        if len(block) > 4 * most and block.count(b"\r\n") > most:
            raise Refusal(431, "too_many_headers", "The request has too many headers.")
        lowered = block.lower()
        found = find(_FINDER, lowered)
        connection = options(found[b"connection"]) if b"connection" in found else _NOTHING
        host = _value(block, lowered, b"host") if b"host" in found else b""
        scheme, seen_host = _seen(block, lowered, found, peer, host)
        kept = _kept(block, lowered, found, connection, peer)
        kept += _forwarding_lines(found, peer, scheme, seen_host)
        origin = _value(block, lowered, b"origin") if b"origin" in found else None
        own_cookies = self._own_cookies_prefix.lower() in found.get(b"cookie", b"")
        return Headers(
            kept=self._without_own_cookies(kept) if own_cookies else kept,
            kept_whole=kept,
            length=_read_length(found),
            has_host=_has_host(lowered, found),
            host=host,
            seen_scheme=_first(scheme),
            seen_host=_first(seen_host),
            has_authorization=b"authorization" in found,
            closes=b"close" in connection,
            keeps_alive=b"keep-alive" in connection,
            wants_websocket=b"upgrade" in connection
            and b"websocket" in options(found.get(b"upgrade", b"")),
            expects_continue=b"expect" in found,
            is_navigation=_is_navigation(found),
            opens_page=_opens_page(found),
            is_worker_script=b"service-worker" in found,
            origin=origin,
            is_preflight=origin is not None and b"access-control-request-method" in found,
            requested_headers=found.get(b"access-control-request-headers", b"").strip(b" \t"),
            cors=self._cors.lines(origin),
            outer_prefix=_outer_prefix(block, lowered, found, peer),
            request_id=_request_id(block, lowered, found, peer),
        )

    def _without_own_cookies(self, block: bytes) -> bytes:
        lines = block.split(b"\r\n")
        for index, line in enumerate(lines):
            name, _, value = line.partition(b":")
            if name.lower() == b"cookie":
                pairs = [pair.strip(b" \t") for pair in value.split(b";")]
                kept = [pair for pair in pairs if not pair.startswith(self._own_cookies_prefix)]
                lines[index] = name + b": " + b"; ".join(kept) if any(kept) else b""
        return b"".join(b"\r\n" + line for line in lines if line)


def _kept(
    block: bytes, lowered: bytes, found: Found, connection: frozenset[bytes], peer: Peer
) -> bytes:
    removed = found.keys() - _READ
    if peer.is_trusted:
        removed = {name for name in removed if name in HOP_BY_HOP or name in _MERGED}
    if not connection <= USUAL_OPTIONS:
        removed |= named_by(connection)
    return without_lines(block, lowered, removed) if removed else block


def _seen(
    block: bytes, lowered: bytes, found: Found, peer: Peer, host: bytes
) -> tuple[bytes, bytes]:
    """Return scheme and host under which the visitor sees us, as far as we believe it."""
    scheme = peer.scheme
    if peer.is_trusted:
        if b"x-forwarded-proto" in found:
            scheme = found[b"x-forwarded-proto"].strip(b" \t")
        if b"x-forwarded-host" in found:
            host = _value(block, lowered, b"x-forwarded-host")
    return scheme, host


def _forwarding_lines(found: Found, peer: Peer, scheme: bytes, host: bytes) -> bytes:
    addresses = peer.address
    if peer.is_trusted and b"x-forwarded-for" in found:
        addresses = found[b"x-forwarded-for"].strip(b" \t") + b", " + addresses
    lines = b"\r\nX-Forwarded-For: %b\r\nX-Forwarded-Proto: %b" % (addresses, scheme)
    return lines + b"\r\nX-Forwarded-Host: " + host if host else lines


def _first(value: bytes) -> bytes:
    """Return what the first of several proxies said."""
    return value.partition(b",")[0].strip(b" \t") if b"," in value else value


def _outer_prefix(block: bytes, lowered: bytes, found: Found, peer: Peer) -> bytes:
    if not peer.is_trusted or b"x-forwarded-prefix" not in found:
        return b""
    return _value(block, lowered, b"x-forwarded-prefix").rstrip(b"/")


def _request_id(block: bytes, lowered: bytes, found: Found, peer: Peer) -> bytes:
    if not peer.is_trusted or b"x-request-id" not in found:
        return b""
    name = _value(block, lowered, b"x-request-id")
    return name if is_request_id(name) else b""


def _value(block: bytes, lowered: bytes, name: bytes) -> bytes:
    """Return the value of the first line of ``name``, in the case it came in."""
    start = lowered.index(b"\r\n" + name + b":") + len(name) + 3
    end = block.find(b"\r\n", start)
    return block[start : end if end >= 0 else None].strip(b" \t")


def _read_length(found: Found) -> int:
    length = found.get(b"content-length")
    coding = found.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or coding.strip(b" ") != b"chunked":  # llhttp knows none with a tab
            raise bad_request("The body's framing is ambiguous.")
        return CHUNKED
    if length is None:
        return 0
    size = read_length(length)
    if size is None:
        raise bad_request("Content-Length is malformed or repeated.")
    return size


def _has_host(lowered: bytes, found: Found) -> bool:
    if b"host" not in found:
        return False
    if lowered.count(b"\r\nhost:") > 1:
        raise bad_request("Host is repeated.")
    return True


def _is_navigation(found: Found) -> bool:
    if b"text/html" not in found.get(b"accept", b""):
        return False
    return found.get(b"sec-fetch-mode", b"navigate").strip(b" \t") == b"navigate"


def _opens_page(found: Found) -> bool:
    # What a browser says of the mode, it says itself, also for <object> and <embed>, whose
    # Accept may be anything. Browsers that say nothing of it name HTML for pages alone.
    mode = found.get(b"sec-fetch-mode")
    if mode is None:
        return b"text/html" in found.get(b"accept", b"")
    return mode.strip(b" \t") == b"navigate"
