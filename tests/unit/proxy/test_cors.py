"""Which origins may read the answers, and what a preflight is told."""

import json

import pytest

from proxy.cors import Cors
from proxy.errors import Answer, EdgeError, render_head, render_json

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
