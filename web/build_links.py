"""The link that opens what a build made, and the badges that lead there. Pure.

What people call a repository is anybody's text, branches above all; it is escaped for
each language that it is written in.
"""

import html
import re
from urllib.parse import quote

from pydantic import Field

from spawner.builder.model import Build
from web.operations import Wire

_MARKDOWN = re.compile(r"([\\\[\]()<>*_`!&])")
_SPACE = re.compile(r"\s+")


class Links(Wire):
    """Where what was built is opened."""

    launch: str = Field(description="Opens an environment at once")
    badge: str = Field(description="The image of the badge")
    markdown: str = Field(description="The badge in Markdown")
    rst: str = Field(description="The badge in reStructuredText")
    html: str = Field(description="The badge in HTML")


def links_to(address: str, name: str, display_name: str) -> Links:
    """Give the links of a template at a service's public ``address``, which ends with a slash."""
    launch, badge = launch_link(address, name), f"{_url(address)}badge.svg"
    alt = f"Launch {_SPACE.sub(' ', display_name).strip()}"
    return Links(
        launch=launch,
        badge=badge,
        markdown=f"[![{_MARKDOWN.sub(_escaped, alt)}]({badge})]({launch})",
        rst=f".. image:: {badge}\n   :target: {launch}\n   :alt: {alt.replace(_BACKSLASH, _TWO)}",
        html=f'<a href="{html.escape(launch)}">'
        f'<img src="{html.escape(badge)}" alt="{html.escape(alt)}"></a>',
    )


def farewell(address: str, build: Build) -> tuple[str, ...]:
    """Give the last lines of a build's log, which say how it is opened.

    ``address`` is that of the service where its operator told it; else what counts is
    where the caller found it.
    """
    links = links_to(address or build.service_url, build.name, build.source.display_name)
    badges = (links.markdown, *links.rst.splitlines(), links.html)
    return (f"It opens at {links.launch}", "Badges:", *badges)


def launch_link(address: str, name: str) -> str:
    """Give the link that opens an environment of a template."""
    return f"{_url(address)}launch/{quote(name, safe='')}"


_BACKSLASH, _TWO = "\\", "\\\\"


def _escaped(found: re.Match[str]) -> str:
    return _BACKSLASH + found[0]


def _url(address: str) -> str:
    """Leave nothing in an address that ends it in one of the languages."""
    return quote(address, safe="/:[]@%~")
