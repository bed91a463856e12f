"""Read the address of a target, as operators and JupyterHub write it. Pure."""

import re
from typing import NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

_UNIX = ("http+unix", "unix+http")
_DEFAULT_PORTS = {"http": 80, "https": 443}
# What urlsplit would silently remove, and what no URL may hold.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_KEPT = "/%:@!$&'()*+,;=~-._?"


class BadLocation(ValueError):
    """An address is none; the text says why."""


class Location(NamedTuple):
    """Where a server answers, and what comes before each path that is sent there."""

    host: str
    port: int
    path: str = ""  # of a unix socket; then host and port say nothing
    is_tls: bool = False
    base: bytes = b""  # path as it was written; empty for the root
    query: bytes = b""

    def target_for(self, tail: bytes, query: bytes) -> bytes:
        """Return the request target for ``tail``, a path or nothing, and a query with its mark."""
        if tail and not tail.startswith(b"/"):
            tail = b"/" + tail
        path = (self.base.rstrip(b"/") + tail if tail else self.base) or b"/"
        if not self.query:
            return path + query
        own = b"?" + self.query
        return path + own + (b"&" + query[1:] if len(query) > 1 else b"")


def read_location(text: str) -> Location:
    """Return the location that a URL names.

    Raises:
        BadLocation: It is no http, https or unix URL.
    """
    if _FORBIDDEN.search(text):
        raise BadLocation("it has a character that no URL may have")
    try:
        parts = urlsplit(text)
        port = parts.port if parts.scheme in _DEFAULT_PORTS else None
    except ValueError as error:
        raise BadLocation("it is no URL") from error
    base = quote(parts.path, safe=_KEPT).encode() if parts.path != "/" else b""
    query = quote(parts.query, safe=_KEPT).encode()
    if parts.scheme in _UNIX:
        return Location("", 0, path=_socket(parts), base=base, query=query)
    if parts.scheme not in _DEFAULT_PORTS:
        raise BadLocation("it begins with none of http://, https:// and http+unix://")
    if not parts.hostname or not _can_be_looked_up(parts.hostname) or port == 0:
        raise BadLocation("it has no host, or no port that can be")
    return Location(
        parts.hostname,
        port or _DEFAULT_PORTS[parts.scheme],
        is_tls=parts.scheme == "https",
        base=base,
        query=query,
    )


def _can_be_looked_up(host: str) -> bool:
    try:
        host.encode("idna")  # as every look-up does first
    except UnicodeError:
        return False
    return True


def _socket(parts: SplitResult) -> str:
    path = unquote(parts.netloc)
    if not path.startswith("/") or "\0" in path:
        raise BadLocation("its host is no path of a socket (http+unix://%2Frun%2Fx.sock)")
    return path
