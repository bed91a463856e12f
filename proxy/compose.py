"""Write the two heads that leave the proxy, as bytes. Pure."""

from typing import NamedTuple

from proxy.framing import CHUNKED, UNTIL_CLOSE
from proxy.request import Request
from proxy.response_head import ResponseHeaders, without_length

UPGRADE = b"\r\nConnection: Upgrade\r\nUpgrade: websocket"
_CHUNKED = b"\r\nTransfer-Encoding: chunked"
_CLOSE = b"\r\nConnection: close"
_KEEP_ALIVE = b"\r\nConnection: keep-alive"


class Reply(NamedTuple):
    """A response's head for the client, and how its body goes on."""

    head: bytes
    length: int  # of the body that is read from the target
    is_framed: bool  # whether the client is sent chunks where no length is known
    keeps_client: bool
    keeps_target: bool


def compose_request(
    request: Request,
    *,
    prefix: bytes,
    prefix_line: bytes,
    authorization_line: bytes,
    hides_own_cookies: bool,
) -> bytes:
    """Return the head for a target that is found under ``prefix``."""
    headers = request.headers
    if headers.outer_prefix:
        prefix_line = b"\r\nX-Forwarded-Prefix: " + headers.outer_prefix + prefix
    return b"".join(
        (
            request.method,
            b" ",
            request.destination.target,
            b" HTTP/1.1",
            headers.kept if hides_own_cookies else headers.kept_whole,
            b"" if headers.has_host else b"\r\nHost: localhost",
            prefix_line,
            b"\r\nX-Request-Id: ",
            request.id,
            b"" if headers.has_authorization else authorization_line,
            _CHUNKED if headers.length == CHUNKED else b"",
            UPGRADE if headers.wants_websocket and request.is_upgrade else b"",
            b"\r\n\r\n",
        )
    )


def compose_reply(
    request: Request, status: bytes, headers: ResponseHeaders, *, is_http_11: bool, may_keep: bool
) -> Reply:
    """Return the head for the client; ``status`` is the code with its reason."""
    kept, length, framing, is_framed = headers.kept, headers.length, b"", True
    is_bodiless = request.method == b"HEAD" or status.startswith((b"204", b"304"))
    keeps_target = not headers.closes and (is_http_11 or headers.keeps_alive)
    if length < 0:
        is_framed = is_bodiless or request.minor == 1
        if request.minor == 1 and (length == CHUNKED or not is_bodiless):
            framing = _CHUNKED
        if length == UNTIL_CLOSE and not is_bodiless:
            keeps_target = False
    if is_bodiless:
        length = 0
        if status.startswith(b"204"):  # RFC 9112 §6.1: neither framing may be there
            kept, framing = without_length(kept), b""
    keeps_client = may_keep and is_framed and request.keeps_alive
    connection = b""
    if not keeps_client:
        connection = _CLOSE
    elif request.minor == 0:
        connection = _KEEP_ALIVE
    cors = request.headers.cors
    head = b"".join(
        (b"HTTP/1.1 ", with_space(status), kept, framing, cors, connection, b"\r\n\r\n")
    )
    return Reply(head, length, is_framed, keeps_client, keeps_target)


def with_space(status: bytes) -> bytes:
    """Return ``status`` with the space that no status line may lack (RFC 9112 §4)."""
    return status if len(status) > 3 else status + b" "
