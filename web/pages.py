"""The start page, the links that launch, and what keeps crawlers from following them."""

from dataclasses import dataclass

from aiohttp import web

from spawner.errors import StoreUnavailable
from spawner.model import PoolStatus, Template
from web.auth import require_launch_by_link
from web.context import RENDERER, SERVICE, mount_of, public_templates
from web.handout import hand_out
from web.views import title_of

_NOT_FOR_CRAWLERS = ("user/", "spawn", "launch", "wait", "api/")


@dataclass(frozen=True, slots=True)
class Offer:
    """One template as visitors see it."""

    title: str
    description: str
    href: str
    #: Ready at this moment; None if it is not known.
    ready: int | None
    waiting: int = 0
    is_failing: bool = False


async def front(request: web.Request) -> web.Response:
    """Show what can be launched."""
    require_launch_by_link(request)
    service = request.app[SERVICE]
    try:
        statuses = {status.template: status for status in await service.pool_status()}
    except StoreUnavailable:
        # The page still tells what there is; a click tells the rest.
        statuses = {}
    offers = [
        _offer(f"{mount_of(request)}launch/{template.name}", template, statuses.get(template.name))
        for template in public_templates(request)
    ]
    page = request.app[RENDERER].render(
        "front.html", offers=offers, warning=service.backend.warning
    )
    return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-cache"})


async def launch(request: web.Request) -> web.Response:
    """Hand out an environment of a template: the link that visitors click."""
    return await hand_out(request, request.match_info["template"], request.query.get("urlpath"))


async def robots(request: web.Request) -> web.Response:
    """Keep crawlers from taking environments."""
    lines = ["User-agent: *"]
    lines += [f"Disallow: {mount_of(request)}{path}" for path in _NOT_FOR_CRAWLERS]
    headers = {"Cache-Control": "public, max-age=300"}
    return web.Response(text="\n".join(lines) + "\n", headers=headers)


def routes() -> list[web.RouteDef]:
    """List what this module serves."""
    return [
        web.get("/", front),
        web.get("/launch/{template}", launch),
        web.get("/robots.txt", robots),
    ]


def _offer(href: str, template: Template, status: PoolStatus | None) -> Offer:
    return Offer(
        title=title_of(template),
        description=template.description,
        href=href,
        ready=status.spares if status else None,
        waiting=status.waiting if status else 0,
        is_failing=bool(status and status.trouble and not status.spares),
    )
