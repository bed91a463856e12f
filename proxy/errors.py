"""Say what went wrong at the edge, and to whom.

- :class:`Refusal`: the client's message is refused; carries the answer.
- :class:`BadBody`: a body broke its framing; whoever sent it is cut off.
- :class:`BadResponse`: a target's head is not one that may be relayed.
- :class:`EdgeError`: the answer itself, rendered as JSON here and as a page by
  whoever runs the proxy.
- :class:`Page`: what a person reads of one.
- :class:`Answer`: an answer that is rendered already, of an error or not.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class EdgeError:
    """An answer that the edge gives by itself."""

    status: int
    code: str
    message: str
    environment_id: str = ""
    template: str = ""
    reason: str = ""
    retry_after_s: int | None = None


class Page(NamedTuple):
    """What a person reads of an :class:`EdgeError`."""

    body: bytes
    lines: bytes = b""  # header lines that go with it, each after a CRLF


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer of the edge's own, but for what depends on the connection."""

    status: int
    body: bytes
    content_type: bytes = JSON
    content_encoding: bytes = b""
    retry_after_s: int | None = None
    lines: bytes = b""  # more header lines, each after a CRLF


class Refusal(Exception):
    """The request is refused, and never forwarded."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.error = EdgeError(status, code, message)


class BadBody(Exception):
    """The bytes of a body are not framed as its head announced."""


class BadResponse(Exception):
    """A target answered with a head that may not be relayed."""


def bad_request(message: str) -> Refusal:
    """Return the refusal of a malformed request."""
    return Refusal(HTTPStatus.BAD_REQUEST, "bad_request", message)


def render_json(error: EdgeError) -> bytes:
    """Return the body that scripts and Jupyter's own clients read."""
    body = {
        "message": error.message,
        "reason": error.reason or error.code,
        "status": error.status,
        "type": error.code,
        "error": error.message,
    }
    return json.dumps(body).encode()


def render_head(answer: Answer, extra: bytes) -> bytes:
    """Return the head of the answer; ``extra`` holds whole header lines, each after CRLF."""
    phrase = HTTPStatus(answer.status).phrase.encode()
    lines = [
        b"HTTP/1.1 %d %b" % (answer.status, phrase),
        b"Content-Type: " + answer.content_type,
        b"Content-Length: %d" % len(answer.body),
        b"Cache-Control: no-store",
    ]
    if answer.content_encoding:
        lines.append(b"Content-Encoding: " + answer.content_encoding)
    if answer.retry_after_s is not None:
        lines.append(b"Retry-After: %d" % answer.retry_after_s)
    return b"\r\n".join(lines) + answer.lines + extra + b"\r\n\r\n"
