"""Who asks, and under which address they see us.

The application listens on a private unix socket behind our own edge, which
drops what clients claim about themselves and sets these headers anew
(:mod:`proxy.request_head`). So they may be believed here, and only here.
"""

from dataclasses import dataclass

from aiohttp import web

from proxy.hosts import EnvironmentHosts
from web.config import Settings
from web.context import SETTINGS


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme and authority under which the client reached the edge."""

    scheme: str
    host: str

    @property
    def is_secure(self) -> bool:
        """Say whether the client came over TLS."""
        return self.scheme == "https"

    def url(self, path: str) -> str:
        """Give the absolute URL of a path."""
        return f"{self.scheme}://{self.host}{path}"

    def ws_url(self, path: str) -> str:
        """Give the absolute WebSocket URL of a path."""
        return f"{'wss' if self.is_secure else 'ws'}://{self.host}{path}"


def origin_of(request: web.Request) -> Origin:
    """Give the origin of our pages, as this client sees it."""
    scheme = _first(request.headers.get("X-Forwarded-Proto", "")) or "http"
    host = _first(request.headers.get("X-Forwarded-Host", "")) or request.host
    return Origin(scheme, host)


def environment_origin(request: web.Request, environment_id: str) -> Origin:
    """Give the origin of an environment's pages, as this client sees it.

    It is ours unless environments have hosts of their own.
    """
    ours = origin_of(request)
    hosts = hosts_of(request.app[SETTINGS])
    if hosts is None:
        return ours
    host = hosts.host_of(environment_id.encode(), ours.host.encode(errors="replace"))
    return Origin(ours.scheme, host.decode())


def hosts_of(settings: Settings) -> EnvironmentHosts | None:
    """Give the hosts of environments, None where they have none of their own."""
    if not settings.environments_domain:
        return None
    return EnvironmentHosts(settings.environments_domain, settings.service_origin)


def scope_of(request: web.Request) -> str:
    """Say whose an Idempotency-Key is, so that nobody meets another's: address and credentials."""
    address = request.headers.get("X-Forwarded-For", "")
    return f"{address}\n{request.headers.get('Authorization', '')}"


def _first(header: str) -> str:
    return header.split(",", 1)[0].strip()
