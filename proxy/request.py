"""Hold a request whose head has been read, and read what comes before its headers."""

import re
from dataclasses import dataclass, field

from proxy.errors import Refusal, bad_request
from proxy.grammar import TOKEN, has_stray_line_end
from proxy.request_head import Headers
from proxy.settings import ProxySettings
from proxy.target import Destination

_METHOD = TOKEN + rb"{1,64}+"
_LINE = re.compile(rb"(" + _METHOD + rb") ([\x21\x22\x24-\x7e]++) HTTP/1\.([01])(?=\r\n)")
_MAX_LINE_REST_BYTES = 64 + len(b"  HTTP/1.1")
# What a head that is not whole yet may look like: a method, then anything
# without a line feed or a carriage return of its own.
_BEGINNING = re.compile(rb"(?:" + _METHOD + rb"(?: (?:[^\r\n]|\r\n)*+)?+)?+")
_METHOD_BEGINNING = re.compile(_METHOD + rb"(?: |\Z)|\r?\Z")
_EMPTY_LINES = re.compile(rb"(?:\r\n)*+")
_REFUSED_METHODS = frozenset((b"CONNECT", b"PRI", b"TRACE", b"TRACK"))
_NOWHERE = Destination(b"", b"", b"")


@dataclass(slots=True)
class Request:
    """A request whose head has been read."""

    method: bytes
    target: bytes  # as it came
    minor: int  # of HTTP/1.x
    headers: Headers
    id: bytes  # what logs on both sides call it
    destination: Destination = field(default=_NOWHERE)
    is_on_own_host: bool = False  # an environment's, where all is its own

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants its connection kept."""
        headers = self.headers
        return not headers.closes and (self.minor == 1 or headers.keeps_alive)

    @property
    def is_upgrade(self) -> bool:
        """Whether a tunnel is asked for."""
        headers = self.headers
        return (
            headers.wants_websocket
            and self.method == b"GET"
            and self.minor == 1
            and headers.length == 0
        )

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks what a page of another origin may do."""
        return self.headers.is_preflight and self.method == b"OPTIONS"

    def check_method(self) -> None:
        """Raise Refusal for a method that is for proxies or HTTP/2 alone, or echoes secrets."""
        if self.method in _REFUSED_METHODS:
            raise Refusal(405, "method_not_allowed", "The method is not allowed here.")


def read_request_line(data: bytes, end: int, max_url_bytes: int) -> tuple[bytes, bytes, int, int]:
    """Return method, target, minor version, and where the header block starts.

    Raises:
        Refusal: The line is malformed, or the target too long.
    """
    line = _LINE.match(data, 0, end + 2)
    if line is None:
        raise bad_request("The request line is malformed.")
    method, target, minor = line.groups()
    if len(target) > max_url_bytes:
        raise _too_long()
    return method, target, 1 if minor == b"1" else 0, line.end()


def without_empty_lines(data: bytes) -> bytes:
    """Return ``data`` without the empty lines that it begins with (RFC 9112 §2.2)."""
    lines = _EMPTY_LINES.match(data)
    return data[lines.end() :] if lines else data


def check_beginning(data: bytes, settings: ProxySettings) -> None:
    """Refuse what can become no head, for the first byte that makes it so.

    So it is refused alike however its bytes arrive.

    Raises:
        Refusal: It is malformed, or too long.
    """
    illegible = _illegible(data)
    # The first line must have ended before this byte, and the head before that one.
    line_limit = settings.max_url_bytes + _MAX_LINE_REST_BYTES + len(b"\r")
    head_limit = settings.max_head_bytes + len(b"\r\n\r")
    is_line_too_long = len(data) > line_limit and b"\r\n" not in data[: line_limit + 1]
    if is_line_too_long and line_limit <= min(illegible, head_limit):
        raise _too_long()
    if illegible < min(len(data), head_limit):
        raise bad_request("The request head is malformed.")
    if len(data) > head_limit:
        raise Refusal(431, "head_too_long", "The request head is too long.")


def _illegible(data: bytes) -> int:
    """Return where ``data`` stops being the beginning of a head; its size or more if nowhere."""
    if _METHOD_BEGINNING.match(data) and not has_stray_line_end(data):
        return len(data)
    beginning = _BEGINNING.match(data)
    end = beginning.end() if beginning else 0
    return end + 1 if data.startswith(b"\r", end) else end


def _too_long() -> Refusal:
    return Refusal(414, "url_too_long", "The request target is too long.")
