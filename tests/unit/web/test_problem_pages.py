"""What a visitor reads of an environment that does not answer."""

import re

import pytest

from proxy.errors import EdgeError
from web.problem_pages import edge_page
from web.rendering import Renderer


def page_of(error: EdgeError) -> str:
    return edge_page(Renderer("tmpenv"), error)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("idle", "had not been used for a while"),
        ("age", "the longest time"),
        ("stopped", "It was stopped."),
        ("it ended: exit code 137, out of memory", "exit code 137, out of memory"),
        ("unknown", "or there never was one"),
    ],
)
def test_5_3_the_end_is_told_in_plain_words_with_a_way_on(reason: str, words: str) -> None:
    page = page_of(EdgeError(410, "gone", "x", "abc", "lab", reason))

    assert words in page
    assert 'href="/launch/lab?new=1"' in page
    assert "data-retry-after-s" not in page


def test_without_a_template_the_way_on_is_the_start_page() -> None:
    page = page_of(EdgeError(410, "gone", "x", "abc"))

    assert "/launch/" not in page
    assert 'href="/"' in page


def test_5_6_the_page_of_one_that_starts_tries_again() -> None:
    page = page_of(EdgeError(503, "starting", "It starts.", "abc", "lab", retry_after_s=2))

    assert 'data-retry-after-s="2"' in page
    assert 'http-equiv="refresh" content="2"' in page


def test_what_an_environment_said_is_escaped() -> None:
    page = page_of(EdgeError(410, "gone", "x", "abc", "lab", "it ended: <script>"))

    assert "<script>" not in page


def test_on_another_origin_everything_leads_to_the_services() -> None:
    renderer = Renderer("tmpenv", "https://lab.example/lab1/")

    page = edge_page(renderer, EdgeError(410, "gone", "x", "abc", "lab", "idle"))

    links = re.findall(r'(?:href|src)="([^"#]+)"', page)
    assert len(links) >= 5
    assert all(link.startswith("https://lab.example/lab1/") for link in links)
    assert 'href="https://lab.example/lab1/launch/lab?new=1"' in page
    assert 'data-mount="https://lab.example/lab1/"' in page


def test_whose_link_belongs_to_somebody_else_is_offered_one_of_their_own() -> None:
    page = page_of(EdgeError(403, "not_yours", "x", "abc", "lab"))

    assert "somebody else" in page
    assert 'href="/launch/lab"' in page
    assert "data-retry-after-s" not in page
