"""Read the head of a request to the way out, and write the one that goes on: pure.

Two forms are known: ``CONNECT host:port``, after which bytes are bytes, and a
request with an absolute ``http://`` address (RFC 9112 §3.2.2, §3.2.3). What goes on names
the host that was judged, and is the last on its connection.
"""

import base64
import binascii
import re
from dataclasses import dataclass, field

_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
_ABSOLUTE = re.compile(r"http://([^/?#]*)([^#]*)", re.IGNORECASE)
_OUR_OWN = frozenset(
    {b"host", b"connection", b"keep-alive", b"upgrade"}
    | {b"proxy-authorization", b"proxy-connection", b"proxy-authenticate"}
)
_HTTP = 80


class BadHead(ValueError):
    """It is no request that can be understood; the text says why."""


@dataclass(frozen=True, slots=True)
class ForwardHead:
    """Where a request wants to go, whose it is, and what is to be sent there."""

    host: str
    port: int
    user: str
    key: str = field(repr=False)
    #: The head that goes on; empty for CONNECT.
    onward: bytes = field(repr=False)


def read(head: bytes) -> ForwardHead:
    """Read a head, with the empty line that ends it.

    Raises:
        BadHead: It cannot be understood.
    """
    line, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    found = _REQUEST.fullmatch(line)
    if found is None or not found[2].isascii():
        raise BadHead("this is no HTTP/1 request")
    method, target = found[1], found[2].decode()
    fields = [_field(one) for one in lines]
    user, key = _credentials(fields)
    if method == b"CONNECT":
        host, port = _authority(target, None)
        return ForwardHead(host, port, user, key, b"")
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadHead("this is a proxy: ask for http://host/path, or CONNECT host:port")
    host, port = _authority(absolute[1], _HTTP)
    path = absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}"
    onward = _onward(method, path, absolute[1], fields)
    return ForwardHead(host, port, user, key, onward)


def _field(line: bytes) -> tuple[bytes, bytes]:
    # A folded line begins with a space, and matches nothing either.
    found = _FIELD.fullmatch(line)
    if found is None:
        raise BadHead("a header field is malformed")
    return found[1], found[2]


def _authority(text: str, usual: int | None) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(text)
    port = int(found[2]) if found and found[2] else usual
    if found is None or port is None or not 0 < port < 1 << 16:
        raise BadHead("the host and port are malformed")
    return found[1].strip("[]").lower(), port


def _credentials(fields: list[tuple[bytes, bytes]]) -> tuple[str, str]:
    """Give the user and key; empty where there are none that can be read (RFC 7617)."""
    for name, value in fields:
        scheme, _, coded = value.partition(b" ")
        if name.lower() == b"proxy-authorization" and scheme.lower() == b"basic":
            try:
                user, _, key = (
                    base64.b64decode(coded.strip(), validate=True).decode().partition(":")
                )
            except (binascii.Error, UnicodeDecodeError):
                return "", ""
            return user, key
    return "", ""


def _onward(method: bytes, path: str, host: str, fields: list[tuple[bytes, bytes]]) -> bytes:
    dropped = set(_OUR_OWN)
    for name, value in fields:
        if name.lower() == b"connection":
            dropped |= {word.strip().lower() for word in value.split(b",")}
    # What frames the body is no connection's own, whatever a field says.
    dropped -= {b"content-length", b"transfer-encoding"}
    kept = [name + b": " + value for name, value in fields if name.lower() not in dropped]
    first = b"%s %s HTTP/1.1" % (method, path.encode())
    return b"\r\n".join((first, b"Host: " + host.encode(), *kept, b"Connection: close", b"", b""))
