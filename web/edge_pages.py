"""The pages of the edge, for who came to an environment and does not meet it.

What they say stands in :mod:`web.problem_pages`; here it is made ready to leave.
"""

from proxy.errors import EdgeError, Page
from proxy.request import Request
from web.config import PagesSettings
from web.middleware import security_headers
from web.problem_pages import edge_page
from web.rendering import Renderer


class EdgePages:
    """Gives the page for an answer of the edge, in a service under ``mount``."""

    def __init__(self, settings: PagesSettings, mount: str) -> None:
        self._settings = settings
        self._renderer = Renderer(settings.title, mount)

    def __call__(self, error: EdgeError, _request: Request) -> Page:
        """Give the page, and what a browser is to keep to."""
        page = edge_page(self._renderer, error)
        return Page(page.encode(), _lines(security_headers(self._settings)))


def _lines(headers: dict[str, str]) -> bytes:
    return "".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode()
