"""What every handler may reach: the core, the culler, the settings, the key, the pages, the end."""

from aiohttp import web

from culler.loop import Culler
from spawner.model import Template
from spawner.service import Service
from web.config import Settings
from web.departure import Departure
from web.rendering import Renderer

SERVICE: web.AppKey[Service] = web.AppKey("service", Service)
SETTINGS = web.AppKey("settings", Settings)
CULLER = web.AppKey("culler", Culler)
API_KEY = web.AppKey("api_key", str)
DEPARTURE = web.AppKey("departure", Departure)
RENDERER = web.AppKey("renderer", Renderer)
#: First segments of the paths that are a program's: nobody is answered a page there.
INTERFACES: web.AppKey[frozenset[str]] = web.AppKey("interfaces", frozenset)


def mount_of(request: web.Request) -> str:
    """Give the path under which the whole service is found, with both slashes."""
    return request.app[SETTINGS].base_url


def default_template(request: web.Request) -> str:
    """Name the template of launches that name none; empty where there is no template."""
    chosen = request.app[SETTINGS].default_template
    return chosen or next(iter(request.app[SERVICE].templates), "")


def public_templates(request: web.Request) -> list[Template]:
    """List what visitors may see, in the order of the configuration."""
    return [template for template in request.app[SERVICE].templates.values() if template.public]
