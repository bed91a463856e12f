"""The page on which a visitor waits for an environment, and what keeps it current.

The page follows its ticket over server-sent events. When the launch is over,
well or not, it asks for itself again, and that answer is the redirect or the
reason; so it needs no script to go on, only to go on sooner.
"""

import json
from contextlib import aclosing
from http import HTTPStatus

from aiohttp import web

from spawner.errors import LaunchLapsed, ServiceError
from spawner.model import Ticket
from web.auth import require_launch_by_link
from web.context import RENDERER, SERVICE, mount_of
from web.handout import check_landing, enter
from web.problem_pages import Way, problem_page
from web.problems import problem_of
from web.views import title_of

#: How often the page asks where there are no scripts.
REFRESH_S = 4
_RECONNECT_MS = 1500


async def wait(request: web.Request) -> web.Response:
    """Show how a launch goes, or send the visitor on when it is done."""
    require_launch_by_link(request)
    landing = request.query.get("urlpath", "")
    check_landing(landing)
    try:
        ticket = await _look(request)
    except LaunchLapsed as error:
        return _lapsed(request, error)
    if ticket.environment is not None:
        return enter(request, ticket.environment, landing)
    template = request.app[SERVICE].templates.get(ticket.template)
    page = request.app[RENDERER].render(
        "waiting.html",
        title=title_of(template) if template else ticket.template,
        place=ticket.place,
        progress=await _progress(request, ticket.template),
        events=f"{mount_of(request)}wait/{ticket.id}/events",
        refresh_s=REFRESH_S,
    )
    return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})


async def events(request: web.Request) -> web.StreamResponse:
    """Tell how a launch goes, as server-sent events.

    Each message holds ``place`` and ``progress``. ``done`` means that the
    page is to be asked for again.
    """
    require_launch_by_link(request)
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",
        }
    )
    await response.prepare(request)
    await response.write(f"retry: {_RECONNECT_MS}\n\n".encode())
    try:
        async with aclosing(request.app[SERVICE].follow(request.match_info["ticket"])) as changes:
            async for ticket in changes:
                if ticket.environment is not None:
                    # Not followed to its end, which would mark it as fetched.
                    break
                progress = await _progress(request, ticket.template)
                await _send(response, {"place": ticket.place, "progress": progress})
    except ServiceError:
        # The page that is asked for next tells what it is.
        pass
    await response.write(b"event: done\ndata: {}\n\n")
    return response


def routes() -> list[web.RouteDef]:
    """List what this module serves."""
    return [
        web.get("/wait/{ticket}", wait),
        web.get("/wait/{ticket}/events", events, allow_head=False),
    ]


async def _look(request: web.Request) -> Ticket:
    """Look at a launch once; one that has its environment counts as fetched from then on."""
    last: Ticket | None = None
    async with aclosing(request.app[SERVICE].follow(request.match_info["ticket"])) as changes:
        async for last in changes:
            if last.environment is None:
                break
    if last is None:
        raise AssertionError("a ticket that is followed is told at least once")
    return last


async def _progress(request: web.Request, template: str) -> str:
    statuses = await request.app[SERVICE].pool_status()
    return next((one.progress for one in statuses if one.template == template), "")


async def _send(response: web.StreamResponse, facts: dict[str, object]) -> None:
    await response.write(f"data: {json.dumps(facts)}\n\n".encode())


def _lapsed(request: web.Request, error: LaunchLapsed) -> web.Response:
    """Say that nobody waited any more, with a link that leads where the first one did."""
    name = request.query.get("template", "")
    ways: tuple[Way, ...] = ()
    if name in request.app[SERVICE].templates:
        again = request.rel_url.with_path(f"{mount_of(request)}launch/{name}").with_query(
            urlpath=request.query.get("urlpath", "")
        )
        ways = (Way("Start again", str(again)), Way("To the start page", mount_of(request)))
    page = problem_page(request.app[RENDERER], problem_of(error), ways=ways)
    return web.Response(
        text=page,
        content_type="text/html",
        status=HTTPStatus.GONE,
        headers={"Cache-Control": "no-store"},
    )
