"""The pages of the edge, for who came to an environment and does not meet it.

What they say stands in :mod:`web.problem_pages`. Here is where they are read: on
an environment's own host nothing is the service's, so links, style and scripts
lead from there to the service's origin.
"""

from proxy.errors import EdgeError, Page
from proxy.hosts import EnvironmentHosts
from proxy.request import Request
from web.config import PagesSettings
from web.middleware import security_headers
from web.problem_pages import edge_page
from web.rendering import Renderer


class EdgePages:
    """Gives the page for an answer of the edge, in a service under ``mount``."""

    def __init__(self, settings: PagesSettings, mount: str, hosts: EnvironmentHosts | None) -> None:
        self._settings = settings
        self._mount = mount
        self._hosts = hosts

    def __call__(self, error: EdgeError, request: Request) -> Page:
        """Give the page, and what a browser is to keep to."""
        service = self._service_seen_by(request)
        renderer = Renderer(self._settings.title, service + self._mount)
        headers = security_headers(self._settings, source=service)
        return Page(edge_page(renderer, error).encode(), _lines(headers))

    def _service_seen_by(self, request: Request) -> str:
        """Give the service's origin, empty if it is the one that was asked."""
        if self._hosts is None or not request.is_on_own_host:
            return ""
        headers = request.headers
        return self._hosts.service_seen_from(headers.seen_scheme, headers.seen_host)


def _lines(headers: dict[str, str]) -> bytes:
    return "".join(f"\r\n{name}: {value}" for name, value in headers.items()).encode()
