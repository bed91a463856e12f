"""The path under which the whole service is found, ``base_url``, as the application serves it.

Modules list what they serve as if the service were at the root. Outside the
mount there is only what is asked for at the root whatever the mount is: the
probes of load balancers, the robots.txt of crawlers, and the bare host that
somebody typed.
"""

from collections.abc import Iterable, Iterator

from aiohttp import web

from web import pages
from web.api import health
from web.context import mount_of
from web.handout import redirect


def mounted(routes: Iterable[web.RouteDef], mount: str) -> Iterator[web.RouteDef]:
    """Give routes as they are found under ``mount``."""
    for one in routes:
        yield web.route(one.method, mount + one.path.removeprefix("/"), one.handler, **one.kwargs)


def outside(mount: str) -> Iterator[web.RouteDef]:
    """Give what is served outside ``mount``, which is nothing where that is the root."""
    if mount != "/":
        yield web.get("/", enter)
        yield web.get(mount.removesuffix("/"), enter)
        yield web.get("/robots.txt", pages.robots)
        yield from health.routes()


async def enter(request: web.Request) -> web.Response:
    """Lead to the start page."""
    query = request.rel_url.raw_query_string
    return redirect(mount_of(request) + (f"?{query}" if query else ""))
