"""Which origins may read the answers, and what a preflight is told."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cors import Cors
from proxy.errors import Answer, EdgeError, render_head, render_json
from proxy.settings import ProxySettings
from tests.unit.proxy.judges import Read, h11_responses
from tests.unit.proxy.wires import Wires

PAGE = b"https://page.example"


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        (("*",), PAGE, b"*"),
        (("https://page.example",), PAGE, PAGE),
        (("https://Page.example/",), PAGE, PAGE),
        (("https://other.example", "https://page.example"), PAGE, PAGE),
        (("https://page.example",), b"https://other.example", None),
        (("https://page.example",), b"http://page.example", None),
        (("https://page.example",), b"https://page.example.evil", None),
        (("https://page.example",), b"null", None),
        (("https://page.example",), None, None),
        (("*",), None, None),
    ],
)
def test_an_origin_in_the_list_is_allowed_and_no_other(
    origins: tuple[str, ...], origin: bytes | None, allowed: bytes | None
) -> None:
    lines = Cors(origins, 600).lines(origin).split(b"\r\n")[1:]

    expected = [b"Access-Control-Allow-Origin: " + allowed] if allowed else []
    assert lines == [*expected, b"Vary: Origin"]


def test_without_a_list_the_edge_says_nothing() -> None:
    assert Cors((), 600).lines(PAGE) == b""


def test_a_preflight_is_told_what_it_may_do() -> None:
    answer = Cors(("*",), 600).preflight(PAGE, b"x-custom, authorization", b"")

    head = answer.decode().split("\r\n")
    assert head[0] == "HTTP/1.1 204 No Content"
    assert "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE" in head
    assert "Access-Control-Max-Age: 600" in head
    (allowed,) = [line for line in head if line.startswith("Access-Control-Allow-Headers")]
    for name in ("authorization", "content-type", "x-xsrftoken", "cache-control", "x-custom"):
        assert name in allowed
    assert answer.endswith(b"\r\n\r\n")


def test_a_preflight_from_elsewhere_is_told_nothing() -> None:
    answer = Cors(("https://page.example",), 600).preflight(b"https://evil.example", b"x", b"")

    assert b"Access-Control" not in answer


def test_headers_that_are_no_list_of_names_are_not_repeated() -> None:
    answer = Cors(("*",), 600).preflight(PAGE, b"x: y; z", b"")

    assert b"x: y" not in answer


def test_an_error_is_rendered_for_scripts() -> None:
    error = EdgeError(503, "starting", "It starts.", "abc", retry_after_s=2)

    body = render_json(error)
    head = render_head(Answer(503, body, retry_after_s=2), b"\r\nX: y")

    assert json.loads(body) == {
        "message": "It starts.",
        "reason": "starting",
        "status": 503,
        "type": "starting",
        "error": "It starts.",
    }
    assert head == (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nCache-Control: no-store\r\nRetry-After: 2\r\nX: y\r\n\r\n"
        % len(body)
    )


THEIRS = (
    b"HTTP/1.1 404 Not Found\r\nAccess-Control-Allow-Origin: *\r\n"
    b"Access-Control-Allow-Credentials: true\r\nContent-Length: 0\r\n\r\n"
)


def ask(origins: tuple[str, ...], method: bytes, path: bytes, lines: list[bytes]) -> Read:
    """Return what a visitor gets where every target sets an Allow-Origin of its own."""
    wires = Wires(lambda: lambda _: (THEIRS,), ProxySettings(cors_origins=origins))
    head = b"\r\n".join((b"%b %b HTTP/1.1" % (method, path), b"Host: h", *lines))
    wires.arrive([head + b"\r\n\r\n"])
    (answer,) = h11_responses(wires.visitor.sent, [method], has_ended=False).messages
    return answer


@pytest.mark.parametrize("origins", [(), ("https://page.example",), ("*",)])
@pytest.mark.parametrize("method", [b"GET", b"OPTIONS"])
@pytest.mark.parametrize("path", [b"/user/abc/x", b"/user/gone/", b"/api/spawn", b"/user/abc/.."])
def test_every_answer_allows_its_origin_once_or_not_at_all(
    origins: tuple[str, ...], method: bytes, path: bytes
) -> None:
    """Whoever gives it, and whether or not it is a preflight's."""
    said = [None, PAGE, b"https://other.example", b"null", b"https://page.example.evil"]
    for origin, wanted in itertools.product(said, (b"", b"PUT")):
        lines = [b"Origin: " + origin] if origin else []
        lines += [b"Access-Control-Request-Method: " + wanted] if wanted else []

        answer = ask(origins, method, path, lines)

        is_listed = bool(origins) and origin is not None and ("*" in origins or origin == PAGE)
        allowed = [b"*" if "*" in origins else PAGE] if is_listed else []
        is_preflight = method == b"OPTIONS" and bool(origin and wanted) and b".." not in path
        assert answer.values(b"access-control-allow-origin") == allowed
        assert answer.values(b"access-control-allow-credentials") == []
        assert answer.values(b"vary") == ([b"Origin"] if origins else [])
        assert (answer.start == (b"204",)) == is_preflight
        assert bool(answer.values(b"access-control-max-age")) == (is_preflight and is_listed)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_preflight_adds_a_line_of_the_pages_own(origin: bytes, wanted: bytes) -> None:
    """Both come out of a header block, so neither has a line's end in it."""
    origin = origin.translate(None, b"\r\n\0")
    wanted = wanted.translate(None, b"\r\n\0")

    answer = Cors(("*",), 600).preflight(origin, wanted, b"\r\nConnection: close")

    names = [line.partition(b":")[0] for line in answer.split(b"\r\n")[1:-2]]
    assert names == [
        b"Access-Control-Allow-Origin",
        b"Vary",
        b"Access-Control-Allow-Methods",
        b"Access-Control-Allow-Headers",
        b"Access-Control-Max-Age",
        b"Connection",
    ]


@given(
    st.sampled_from([400, 404, 410, 414, 431, 502, 503, 504]),
    st.text(),
    st.none() | st.integers(0, 600),
)
def test_an_independent_parser_reads_every_error(
    status: int, message: str, retry_after_s: int | None
) -> None:
    body = render_json(EdgeError(status, "code", message))
    head = render_head(Answer(status, body, retry_after_s=retry_after_s), b"\r\nConnection: close")

    (read,) = h11_responses(head + body, [b"GET"], has_ended=True).messages

    assert read.start == (b"%d" % status,)
    assert json.loads(read.body)["message"] == message
    assert bool(read.values(b"retry-after")) == (retry_after_s is not None)
