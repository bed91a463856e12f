"""Read a target's response head strictly, and keep what may reach the browser.

All environments share one origin in the browser unless each has a host of its
own. So what an environment could use to reach beyond its prefix (wide cookies,
service workers, site-wide policies) is dropped, unless a setting allows it.
"""

import re
from dataclasses import dataclass

from proxy.errors import BadResponse
from proxy.framing import CHUNKED, UNTIL_CLOSE
from proxy.grammar import (
    BLOCK,
    HOP_BY_HOP,
    LENGTH,
    VALUE,
    line_finder,
    options,
    without,
    without_named,
)
from proxy.settings import ProxySettings

STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2}(?: " + VALUE + rb"*+)?+)(?=\r\n)")

_SITE_WIDE = (
    b"alt-svc",
    b"clear-site-data",
    b"public-key-pins",
    b"public-key-pins-report-only",
    b"strict-transport-security",
)
_FINDER = line_finder(
    (
        *HOP_BY_HOP,
        *_SITE_WIDE,
        b"access-control-*",
        b"content-length",
        b"location",
        b"service-worker-allowed",
        b"set-cookie",
    )
)

_LENGTH_LINE = re.compile(rb"\r\ncontent-length:[^\r]*", re.IGNORECASE)

Found = dict[bytes, list[bytes]]


@dataclass(frozen=True, slots=True)
class ResponseRules:
    """What one target's responses may say to a browser."""

    dropped: frozenset[bytes] = frozenset()
    prefix: bytes = b""  # empty: cookies and service workers may be as wide as they like
    confines_cookies: bool = False
    confines_workers: bool = False
    own_cookies_prefix: bytes = b""
    own_origin: bytes = b""  # lower case; empty: Location is never rewritten


@dataclass(slots=True)
class ResponseHeaders:
    """What a response's header block says, and the block that is relayed."""

    kept: bytes
    length: int
    closes: bool
    keeps_alive: bool
    is_websocket: bool


def environment_rules(
    settings: ProxySettings, environment_id: bytes, host: str, port: int
) -> ResponseRules:
    """Return the rules for an environment that lives under its prefix."""
    allowed = {
        b"alt-svc": settings.allow_alt_svc,
        b"clear-site-data": settings.allow_clear_site_data,
        b"public-key-pins": settings.allow_public_key_pins,
        b"public-key-pins-report-only": settings.allow_public_key_pins,
        b"strict-transport-security": settings.allow_strict_transport_security,
    }
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return ResponseRules(
        dropped=frozenset(name for name, is_allowed in allowed.items() if not is_allowed),
        prefix=b"/user/" + environment_id,
        confines_cookies=not settings.allow_wide_cookies,
        confines_workers=not settings.allow_wide_service_workers,
        own_cookies_prefix=settings.own_cookies_prefix.encode(),
        own_origin=f"http://{authority}".lower().encode(),
    )


def read_response_headers(
    block: bytes, rules: ResponseRules, *, at_prefix: bool
) -> ResponseHeaders:
    """Return what ``block`` says under ``rules``.

    ``at_prefix`` says that the request was for the bare prefix: a cookie without
    a Path would then be the parent's (RFC 6265 §5.1.4).

    Raises:
        BadResponse: The block is malformed or ambiguous.
    """
    if not BLOCK.fullmatch(block):
        raise BadResponse("A header line is malformed.")
    found: Found = {}
    spans: list[tuple[int, int]] = []
    moved = b""
    for match in _FINDER.finditer(block.lower()):
        name = match[1]
        start, end = match.span(2)
        value = block[start:end].strip(b" \t")
        found.setdefault(name, []).append(value)
        if name == b"location" and (path := _own_path(value, rules)):
            spans.append(match.span())
            moved = b"\r\nLocation: " + path
        elif _is_dropped(name, value, rules, at_prefix=at_prefix):
            spans.append(match.span())
    connection = options(found.get(b"connection", ()))
    return ResponseHeaders(
        kept=without_named(without(block, spans), connection) + moved,
        length=_read_length(found),
        closes=b"close" in connection,
        keeps_alive=b"keep-alive" in connection,
        is_websocket=b"websocket" in options(found.get(b"upgrade", ())),
    )


def without_length(block: bytes) -> bytes:
    """Return ``block`` without Content-Length, for a status that may have none."""
    return _LENGTH_LINE.sub(b"", block)


def _is_dropped(name: bytes, value: bytes, rules: ResponseRules, *, at_prefix: bool) -> bool:
    if name in HOP_BY_HOP or name in rules.dropped:
        return True
    if name == b"set-cookie":
        return rules.confines_cookies and _reaches_out(value, rules, at_prefix=at_prefix)
    if name == b"service-worker-allowed":
        return rules.confines_workers and not _is_inside(value, rules.prefix)
    return name.startswith(b"access-control-") and name != b"access-control-expose-headers"


def _reaches_out(cookie: bytes, rules: ResponseRules, *, at_prefix: bool) -> bool:
    if rules.own_cookies_prefix and cookie.startswith(rules.own_cookies_prefix):
        return True
    has_path = False
    for attribute in cookie.split(b";")[1:]:
        name, _, value = attribute.partition(b"=")
        name, value = name.strip(b" \t").lower(), value.strip(b" \t")
        if name == b"domain":
            return True
        if name == b"path" and value.startswith(b"/"):
            has_path = True
            if value != rules.prefix and not value.startswith(rules.prefix + b"/"):
                return True
    return at_prefix and not has_path


def _is_inside(scope: bytes, prefix: bytes) -> bool:
    # A scope is resolved as a URL: dot segments and back-slashes would climb out.
    climbs = b".." in scope or b"\\" in scope or b"%2e" in scope.lower()
    return scope.startswith(prefix + b"/") and not climbs


def _own_path(location: bytes, rules: ResponseRules) -> bytes:
    origin = rules.own_origin
    if not origin or location[: len(origin)].lower() != origin:
        return b""
    path = location[len(origin) :]
    if not path or path[:1] in b"?#":
        return b"/" + path
    # A path that begins with two slashes would name another host.
    return b"/" + path.lstrip(b"/") if path.startswith(b"/") else b""


def _read_length(found: Found) -> int:
    lengths = found.get(b"content-length", [])
    codings = found.get(b"transfer-encoding", [])
    if codings:
        if lengths or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise BadResponse("The body's framing is ambiguous.")
        return CHUNKED
    if not lengths:
        return UNTIL_CLOSE
    if len(lengths) > 1 or not LENGTH.fullmatch(lengths[0]):
        raise BadResponse("Content-Length is malformed or repeated.")
    return int(lengths[0])
