"""What a request's headers say about who makes it."""

import pytest

from web.visits import (
    is_embedded_resource,
    is_idempotency_key,
    is_speculative,
    presented_key,
    wants_html,
)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Purpose": "preview"},
        {"X-Moz": "prefetch"},
    ],
)
def test_a_browser_that_fetches_ahead_is_no_visitor(headers: dict[str, str]) -> None:
    assert is_speculative(headers)


def test_a_click_is_not_speculative() -> None:
    assert not is_speculative({"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"})


@pytest.mark.parametrize(
    ("destination", "is_embedded"),
    [("document", False), ("iframe", False), ("empty", False), ("image", True), ("script", True)],
)
def test_an_image_tag_is_no_visit(destination: str, is_embedded: bool) -> None:
    assert is_embedded_resource({"Sec-Fetch-Dest": destination}) is is_embedded


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", True),
        ("application/json", False),
        ("*/*", False),
        ("", False),
        ("text/html;q=0", False),
        ("text/html;q=0.5, application/json", False),
        ("TEXT/HTML", True),
        ("text/html;q=much", False),
    ],
)
def test_only_who_names_html_gets_a_page(accept: str, html: bool) -> None:
    assert wants_html(accept) is html


@pytest.mark.parametrize(
    ("text", "valid"),
    [("a", True), ("x" * 255, True), ("x" * 256, False), ("", False), ("a b", False), ("é", False)],
)
def test_an_idempotency_key_is_visible_ascii(text: str, valid: bool) -> None:
    assert is_idempotency_key(text) is valid


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("token k", "k"),
        ("Bearer k", "k"),
        ("TOKEN  k ", "k"),
        ("k", "k"),
        ("a key of words", "a key of words"),
        ("", ""),
    ],
)
def test_a_key_is_presented_bare_or_as_token_or_bearer(header: str, key: str) -> None:
    assert presented_key(header) == key
