"""Answer for origins, at the edge alone.

An environment's own Access-Control headers are dropped, so that there is
exactly one answer to the browser's question, on every status.
"""

import re
from collections.abc import Iterable

_HEADERS = b"authorization, content-type, x-xsrftoken, cache-control"
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_TOKENS = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*,[ \t]*[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*")


class Cors:
    """The origins that may read answers."""

    def __init__(self, origins: Iterable[str], max_age_s: int) -> None:
        self._origins = {origin.lower().rstrip("/").encode("latin-1") for origin in origins}
        self._max_age_s = max_age_s

    def lines(self, origin: bytes | None) -> bytes:
        """Return the header lines for an answer to ``origin``, each after a CRLF."""
        if not self._origins:
            return b""
        if origin is None:
            return b"\r\nVary: Origin"
        if b"*" in self._origins:
            return b"\r\nAccess-Control-Allow-Origin: *\r\nVary: Origin"
        if origin.lower() in self._origins:
            return b"\r\nAccess-Control-Allow-Origin: %b\r\nVary: Origin" % origin
        return b"\r\nVary: Origin"

    def preflight(self, origin: bytes, wanted_headers: bytes, close: bytes) -> bytes:
        """Return the whole answer to a preflight; ``close`` is a header line or nothing."""
        lines = self.lines(origin)
        if b"Allow-Origin" in lines:
            allowed = _HEADERS
            if _TOKENS.fullmatch(wanted_headers):
                allowed += b", " + wanted_headers
            lines += (
                b"\r\nAccess-Control-Allow-Methods: %b"
                b"\r\nAccess-Control-Allow-Headers: %b"
                b"\r\nAccess-Control-Max-Age: %d" % (_METHODS, allowed, self._max_age_s)
            )
        return b"HTTP/1.1 204 No Content" + lines + close + b"\r\n\r\n"
