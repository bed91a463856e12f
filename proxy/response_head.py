"""Read a target's response head strictly, and keep what may reach the browser.

All environments share one origin in the browser unless each has a host of its
own. So what an environment could use to reach beyond its prefix, or its host (wide
cookies, service workers, site-wide policies), is dropped, unless a setting allows it.
"""

import re
from dataclasses import dataclass, replace

from proxy.errors import BadResponse
from proxy.framing import CHUNKED, UNTIL_CLOSE
from proxy.grammar import (
    BLOCK,
    HOP_BY_HOP,
    USUAL_OPTIONS,
    VALUE,
    find,
    has_stray_line_end,
    line_finder,
    named_by,
    options,
    read_length,
    without_lines,
)
from proxy.settings import ProxySettings

# Groups: minor version, code with reason, header block.
_HEAD = re.compile(
    rb"HTTP/1\.([01]) ([1-5][0-9]{2}(?: " + VALUE + rb"*+)?+)(" + BLOCK.pattern + rb")"
)
_MAX_KEPT = 8  # heads, and how long one may be
_MAX_KEPT_BYTES = 2048
_SITE_WIDE = (
    b"alt-svc",
    b"clear-site-data",
    b"public-key-pins",
    b"public-key-pins-report-only",
    b"strict-transport-security",
)
# Its "cookies" are those of the whole domain, with every host below it.
_DOMAIN_WIDE = frozenset((b"clear-site-data",))
# The edge alone answers for origins (see proxy.cors); Expose-Headers may stay.
_CORS = frozenset(
    (
        b"access-control-allow-credentials",
        b"access-control-allow-headers",
        b"access-control-allow-methods",
        b"access-control-allow-origin",
        b"access-control-allow-private-network",
        b"access-control-max-age",
    )
)
_FINDER = line_finder(
    (
        *HOP_BY_HOP,
        *_SITE_WIDE,
        *_CORS,
        b"content-length",
        b"location",
        b"service-worker-allowed",
        b"set-cookie",
    )
)

_LENGTH_LINE = re.compile(rb"\r\ncontent-length:[^\r]*", re.IGNORECASE)

_JUDGED = frozenset((b"location", b"service-worker-allowed", b"set-cookie"))
_NOTHING: frozenset[bytes] = frozenset()

Found = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class ResponseRules:
    """What one target's responses may say to a browser."""

    removed: frozenset[bytes] = HOP_BY_HOP | _CORS
    prefix: bytes = b""  # empty: cookies and service workers may be as wide as they like
    confines_cookies: bool = False
    confines_workers: bool = False
    own_cookies_prefix: bytes = b""
    own_host: bytes = b""  # the only one that cookies may name; in lower case
    own_origin: bytes = b""  # lower case; empty: Location is never rewritten


@dataclass(slots=True)
class ResponseHeaders:
    """What a response's header block says, and the block that is relayed."""

    kept: bytes
    length: int
    closes: bool
    keeps_alive: bool
    is_websocket: bool


@dataclass(slots=True)
class ResponseHead:
    """A response's head."""

    status: bytes  # the code with its reason
    headers: ResponseHeaders
    is_http_11: bool
    size: int  # with the empty line


def environment_rules(
    settings: ProxySettings, prefix: bytes, host: str, port: int
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
        removed=HOP_BY_HOP
        | _CORS
        | {name for name, is_allowed in allowed.items() if not is_allowed},
        prefix=prefix,
        confines_cookies=not settings.allow_wide_cookies,
        confines_workers=not settings.allow_wide_service_workers,
        own_cookies_prefix=settings.own_cookies_prefix.encode(),
        own_origin=f"http://{authority}".lower().encode(),
    )


def own_host_rules(rules: ResponseRules, own_host: bytes) -> ResponseRules:
    """Return the rules for an environment where it has an origin to itself.

    ``rules`` are those for it under its prefix. What ends at its own host is its
    own business; what reaches the hosts beside and above it stays as it was.
    """
    return replace(
        rules,
        removed=HOP_BY_HOP | _CORS | (rules.removed & _DOMAIN_WIDE),
        prefix=b"",
        confines_workers=False,
        own_host=own_host,
    )


def plain_rules(*, answers_origins: bool) -> ResponseRules:
    """Return the rules for a target that may say what it likes, but for origins perhaps."""
    return ResponseRules(removed=HOP_BY_HOP | _CORS if answers_origins else HOP_BY_HOP)


class ResponseReader:
    """Reads the heads of one target's responses, under its rules.

    What was read from a small one is kept, so that a head that comes again costs a
    look-up: the answers to a resource that is asked for often differ in nothing but
    their Date, which is another one each second.
    """

    def __init__(self, rules: ResponseRules, max_bytes: int) -> None:
        self._rules = rules
        self._max_bytes = max_bytes
        self._known: dict[bytes, ResponseHead] = {}

    def read(self, data: bytes, *, at_prefix: bool) -> ResponseHead | None:
        """Return the head that ``data`` begins with, None if it is not whole yet.

        ``at_prefix`` says that the request was for the bare prefix: a cookie without
        a Path would then be the parent's (RFC 6265 §5.1.4).

        Raises:
            BadResponse: It is not a head, or too long, or its framing is ambiguous.
        """
        end = data.find(b"\r\n\r\n", 0, self._max_bytes)
        if end < 0:
            _check_beginning(data, self._max_bytes)
            return None
        raw = data[:end]
        head = self._known.get(raw)
        if head is None or at_prefix:
            head = _read_head(raw, self._rules, at_prefix=at_prefix)
            if end <= _MAX_KEPT_BYTES and not at_prefix:
                if len(self._known) >= _MAX_KEPT:
                    self._known.clear()
                self._known[raw] = head
        return head


def _read_head(raw: bytes, rules: ResponseRules, *, at_prefix: bool) -> ResponseHead:
    match = _HEAD.fullmatch(raw)
    if match is None:
        raise BadResponse("its head is malformed.")
    minor, status, block = match.groups()
    headers = _read_headers(block, rules, at_prefix=at_prefix)
    return ResponseHead(status, headers, is_http_11=minor == b"1", size=len(raw) + 4)


def _check_beginning(data: bytes, max_bytes: int) -> None:
    """Refuse what can become no head, for its first wrong byte: bare LF would be waited behind."""
    beginning = data if len(data) <= max_bytes else data[:max_bytes]
    if has_stray_line_end(beginning) or not data.startswith(b"HTTP/1."[: len(data)]):
        raise BadResponse("its head is malformed.")
    if len(data) > max_bytes:
        raise BadResponse("its head is too long.")


def _read_headers(block: bytes, rules: ResponseRules, *, at_prefix: bool) -> ResponseHeaders:
    lowered = block.lower()
    found = find(_FINDER, lowered)
    length = _read_length(found)
    if length >= 0 and len(found) == 1:  # nothing but the length is of interest to us
        return ResponseHeaders(block, length, closes=False, keeps_alive=False, is_websocket=False)
    connection = options(found[b"connection"]) if b"connection" in found else _NOTHING
    removed = rules.removed & found.keys()
    if not connection <= USUAL_OPTIONS:
        removed |= named_by(connection)
    kept = without_lines(block, lowered, removed) if removed else block
    if not _JUDGED.isdisjoint(found):
        kept = _judge(kept, rules, at_prefix=at_prefix)
    return ResponseHeaders(
        kept,
        length,
        closes=b"close" in connection,
        keeps_alive=b"keep-alive" in connection,
        is_websocket=b"upgrade" in found and b"websocket" in options(found[b"upgrade"]),
    )


def _judge(block: bytes, rules: ResponseRules, *, at_prefix: bool) -> bytes:
    """Return ``block`` without the lines whose values reach too far."""
    lines = block.split(b"\r\n")
    kept = []
    for line in lines:
        name, _, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if name == b"location" and (path := _own_path(value, rules)):
            kept.append(b"Location: " + path)
        elif not _is_dropped(name, value, rules, at_prefix=at_prefix):
            kept.append(line)
    return b"\r\n".join(kept)


def without_length(block: bytes) -> bytes:
    """Return ``block`` without Content-Length, for a status that may have none."""
    return _LENGTH_LINE.sub(b"", block)


def _is_dropped(name: bytes, value: bytes, rules: ResponseRules, *, at_prefix: bool) -> bool:
    if name == b"set-cookie":
        return rules.confines_cookies and _reaches_out(value, rules, at_prefix=at_prefix)
    if name == b"service-worker-allowed":
        return rules.confines_workers and not _is_inside(value, rules.prefix)
    return False


def _reaches_out(cookie: bytes, rules: ResponseRules, *, at_prefix: bool) -> bool:
    # A pair without a name is sent as its value alone (RFC 6265bis §5.6).
    if rules.own_cookies_prefix and cookie.lstrip(b"= \t").startswith(rules.own_cookies_prefix):
        return True
    has_path = False
    for attribute in cookie.split(b";")[1:]:
        name, _, value = attribute.partition(b"=")
        name, value = name.strip(b" \t").lower(), value.strip(b" \t")
        if name == b"domain" and not _is_own_host(value, rules):
            return True
        if name == b"path":  # the last one counts; a browser ignores what is none
            has_path = value.startswith(b"/")
            if has_path and value != rules.prefix and not value.startswith(rules.prefix + b"/"):
                return True
    return at_prefix and not has_path and bool(rules.prefix)


def _is_own_host(domain: bytes, rules: ResponseRules) -> bool:
    # RFC 6265 §5.2.3: one dot in front means nothing.
    return bool(rules.own_host) and domain.removeprefix(b".").lower() == rules.own_host


def _is_inside(scope: bytes, prefix: bytes) -> bool:
    # A scope is resolved as a URL: dot segments and back-slashes would climb out, and a
    # tab is taken out first, so that it may stand between two dots.
    climbs = b".." in scope or b"\\" in scope or b"\t" in scope or b"%2e" in scope.lower()
    return scope.startswith(prefix + b"/") and not climbs


def _own_path(location: bytes, rules: ResponseRules) -> bytes:
    origin = rules.own_origin
    if not origin or location[: len(origin)].lower() != origin:
        return b""
    path = location[len(origin) :]
    if not path or path[:1] in b"?#":
        return b"/" + path
    # A path that begins with two slashes would name another host. To a browser a
    # back-slash is one too, and a tab is not there.
    return b"/" + path.lstrip(b"/\\\t") if path.startswith(b"/") else b""


def _read_length(found: Found) -> int:
    length = found.get(b"content-length")
    coding = found.get(b"transfer-encoding")
    if coding is not None:
        if length is not None or coding.strip(b" ") != b"chunked":  # llhttp knows none with a tab
            raise BadResponse("its framing is ambiguous.")
        return CHUNKED
    if length is None:
        return UNTIL_CLOSE
    size = read_length(length)
    if size is None:
        raise BadResponse("its Content-Length is malformed or repeated.")
    return size
