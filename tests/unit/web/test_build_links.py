"""The link to what was built, and its badges in three languages."""

import html
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from spawner.builder.model import Build, Outcome, Source, Stage
from web.build_links import farewell, links_to

ODD = ['a"><script>', "[a](b)", "back\\slash", "`x`", "two\nlines", "Ünï/cödé", "a&b<c>"]


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_each_language_has_the_same_link_and_image() -> None:
    links = links_to("https://lab.example.org/lab1/", "org-repo", "Org/Repo")

    launch = "https://lab.example.org/lab1/launch/org-repo"
    badge = "https://lab.example.org/lab1/badge.svg"
    assert (links.launch, links.badge) == (launch, badge)
    assert links.markdown == f"[![Launch Org/Repo]({badge})]({launch})"
    assert links.rst == f".. image:: {badge}\n   :target: {launch}\n   :alt: Launch Org/Repo"
    assert links.html == f'<a href="{launch}"><img src="{badge}" alt="Launch Org/Repo"></a>'


@pytest.mark.parametrize("name", ODD)
def test_what_people_call_a_repository_is_text_in_html(name: str) -> None:
    tags = Tags()
    tags.feed(links_to("http://h/", "n", name).html)

    assert [tag for tag, _ in tags.seen] == ["a", "img"]
    assert tags.seen[1][1]["alt"] == "Launch " + " ".join(name.split())


@pytest.mark.parametrize("name", ODD)
def test_what_people_call_a_repository_ends_no_line_and_no_bracket(name: str) -> None:
    links = links_to("http://h/", "n", name)

    alt = links.markdown.removeprefix("[![").removesuffix(
        "](http://h/badge.svg)](http://h/launch/n)"
    )
    assert "\n" not in links.markdown
    plain = alt.replace("\\\\", "")
    assert all(plain[at - 1] == "\\" for at, char in enumerate(plain) if char in "[]()<>`*_&!")
    assert links.rst.count("\n") == 2


def test_a_host_that_is_none_cannot_leave_its_place() -> None:
    links = links_to('http://h"><b>)](x/', "n", "n")

    assert html.unescape(links.html).count('"') == 6
    assert "<b>" not in links.html + links.markdown + links.rst


SOURCE = Source(provider="git", url="u", ref="", display_name="Org/Repo", name="org-repo")
BUILD = Build(
    id="1",
    name="org-repo",
    repository="u",
    source=SOURCE,
    commit="c",
    dependencies=(),
    outcome=Outcome.COMPLETED,
    stage=Stage.FINISHED,
    step=0,
    steps=0,
    caller="",
    image="i",
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    ended_at=None,
)


def test_a_log_ends_with_the_link_and_its_badges() -> None:
    lines = farewell("https://lab.example.org/", BUILD)

    links = links_to("https://lab.example.org/", "org-repo", "Org/Repo")
    assert lines[0] == f"It opens at {links.launch}"
    assert {links.markdown, links.html} < set(lines)
    assert "\n".join(lines).find(links.rst) > 0
    assert not [line for line in lines if "\n" in line]


def test_where_the_operator_said_no_address_the_one_counts_that_the_caller_found() -> None:
    found = replace(BUILD, service_url="http://127.0.0.1:8000/lab1/")

    assert farewell("", found)[0] == "It opens at http://127.0.0.1:8000/lab1/launch/org-repo"
    assert farewell("https://lab.example.org/", found) == farewell(
        "https://lab.example.org/", BUILD
    )
