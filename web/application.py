"""The aiohttp application: all that is not an environment.

It listens on a private unix socket behind the edge, which owns CORS, limits
and the public address.
"""

from functools import partial
from typing import Any

from aiohttp import web

from culler.loop import Culler
from spawner.service import Service
from web import pages, static_files, waiting
from web.api import (
    catalogue,
    culling,
    documents,
    drain,
    environments,
    health,
    keys,
    logs,
    status,
)
from web.auth import identify, is_open
from web.build_links import farewell
from web.callers import refuse_banned
from web.config import Settings
from web.context import API_KEY, CULLER, DEPARTURE, INTERFACES, RENDERER, SERVICE, SETTINGS
from web.departure import Departure
from web.dialects import (
    binder_applications,
    binder_build_logs,
    binder_builds,
    binder_pools,
    binder_preload,
    binder_templates,
    tmpnb,
    tmpnb_links,
)
from web.middleware import answer_failures, security_headers
from web.mount import mounted, outside
from web.openapi import document, interfaces
from web.operations import operations_of
from web.rendering import Renderer

#: The largest body that any of these interfaces takes.
MAX_BODY = 64 * 1024  # bytes
#: What the edge itself puts into a head, at most.
EDGE_ADDS = 4 * 1024  # bytes
#: Streams that are still open at the end are cut after this; browsers ask again.
SHUTDOWN_S = 2.0

#: Everything that is served.
MODULES = (
    pages,
    waiting,
    static_files,
    tmpnb,
    tmpnb_links,
    environments,
    catalogue,
    logs,
    culling,
    status,
    health,
    drain,
    keys,
    binder_builds,
    binder_build_logs,
    binder_templates,
    binder_applications,
    binder_pools,
    binder_preload,
    documents,
)
#: What of it is described.
OPERATIONS = tuple(one for module in MODULES for one in operations_of(module))


def build(
    service: Service,
    settings: Settings,
    *,
    culler: Culler,
    api_key: str,
    departure: Departure | None = None,
) -> web.Application:
    """Put the application together."""
    app = web.Application(
        middlewares=[answer_failures, identify, refuse_banned], client_max_size=MAX_BODY
    )
    app[SERVICE] = service
    app[CULLER] = culler
    app[SETTINGS] = settings
    app[API_KEY] = api_key
    app[logs.FOLLOWING] = logs.Followers()
    app[binder_build_logs.FOLLOWING] = logs.Followers(binder_build_logs.FOLLOWERS)
    app[DEPARTURE] = departure or Departure()
    app[RENDERER] = Renderer(settings.pages.title, settings.base_url)
    for module in MODULES:
        app.add_routes(mounted(module.routes(), settings.base_url))
    app[INTERFACES] = interfaces(OPERATIONS)
    app[documents.DOCUMENT] = document(
        OPERATIONS,
        title=settings.pages.title,
        mount=settings.base_url,
        is_open=partial(is_open, settings),
    )
    if service.builds is not None:
        origin = settings.service_origin
        address = origin + settings.base_url if origin else ""
        service.builds.farewell = partial(farewell, address)
    app.add_routes(outside(settings.base_url))
    fixed = security_headers(settings.pages)

    async def secure(_request: web.Request, response: web.StreamResponse) -> None:
        for name, value in fixed.items():
            response.headers.setdefault(name, value)
        # Versions are nobody's business who has not the API key.
        response.headers.popall("Server", None)

    app.on_response_prepare.append(secure)
    return app


def runner(app: web.Application) -> web.AppRunner:
    """Give what serves the application.

    A handler is cancelled when its client goes away, so that a launch nobody
    waits for is given up.
    """
    return web.AppRunner(
        app, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S, **reading_options(app)
    )


def reading_options(app: web.Application) -> dict[str, Any]:
    """Say how requests are read.

    Whatever head the edge lets in is read here: it has measured it, and what it adds is
    short. The access log is the middleware's.
    """
    longest = app[SETTINGS].proxy.max_head_bytes + EDGE_ADDS
    return {"access_log": None, "max_line_size": longest, "max_field_size": longest}
