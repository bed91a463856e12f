"""tmpnb's links: ``/spawn…`` hands out, ``/tree/…`` and the like lead there.

Path and query are kept as they came, so that a deep link arrives where it
said. Visitors never choose the name of an environment: tmpnb's ad hoc links
did, which let one visitor wait at, or take, another's address.
"""

from http import HTTPStatus

from aiohttp import web

from web.auth import require_launch_by_link
from web.context import RENDERER, SERVICE, SETTINGS, default_template, mount_of
from web.handout import check_landing, enter, hand_out, is_open_to_visits, redirect
from web.problems import RequestRefused

_VIEWS = "notebooks|tree|files|lab"
#: Parameters of the link itself; all others belong to the environment.
_OURS = ("template", "new")


async def spawn(request: web.Request) -> web.Response:
    """Hand out an environment of the default template or of ``?template=``."""
    landing = _rest(request, "spawn/")
    return await hand_out(request, _template(request), landing or None)


async def spawn_adhoc(request: web.Request) -> web.Response:
    """Bring a visitor back to the environment ``<name>`` if it runs, else hand out a fresh one.

    The fresh one has an id of its own.
    """
    if not request.app[SETTINGS].tmpnb.adhoc:
        raise RequestRefused(
            HTTPStatus.FORBIDDEN,
            "adhoc_disabled",
            "Links of this form are not served here; use /spawn instead.",
        )
    require_launch_by_link(request)
    name = request.match_info["name"]
    landing = _rest(request, f"spawn/user/{name}/")
    environment = (
        await request.app[SERVICE].find(name) if name.isalnum() and name.isascii() else None
    )
    if environment is not None and is_open_to_visits(request, environment):
        check_landing(landing)
        return enter(request, environment, landing)
    known = environment.template if environment is not None else ""
    template = known if known in request.app[SERVICE].templates else _template(request)
    return await hand_out(request, template, landing or None)


async def deep_link(request: web.Request) -> web.Response:
    """Lead from a notebook's path to the link that launches it."""
    require_launch_by_link(request)
    mount = mount_of(request)
    path = request.rel_url.raw_path.removeprefix(mount)
    query = request.rel_url.raw_query_string
    return redirect(f"{mount}spawn/{path}" + (f"?{query}" if query else ""))


async def info(request: web.Request) -> web.Response:
    """Show the counts to people."""
    require_launch_by_link(request)
    service = request.app[SERVICE]
    rows = [
        (status, service.pools[status.template].size)
        for status in await service.pool_status()
        if status.template in service.templates and service.templates[status.template].public
    ]
    page = request.app[RENDERER].render("info.html", rows=rows)
    return web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-cache"})


def routes() -> list[web.RouteDef]:
    """List what this module serves."""
    return [
        web.get("/spawn", spawn),
        web.get("/spawn/", spawn),
        web.get("/spawn/user/{name}", spawn_adhoc),
        web.get("/spawn/user/{name}/{path:.*}", spawn_adhoc),
        web.get(f"/spawn/{{view:{_VIEWS}}}", spawn),
        web.get(f"/spawn/{{view:{_VIEWS}}}/{{path:.*}}", spawn),
        web.get(f"/{{view:{_VIEWS}}}", deep_link),
        web.get(f"/{{view:{_VIEWS}}}/{{path:.*}}", deep_link),
        web.get("/info", info),
        web.get("/info/", info),
    ]


def _template(request: web.Request) -> str:
    return request.query.get("template") or default_template(request)


def _rest(request: web.Request, prefix: str) -> str:
    """Give what a link says beyond ``prefix``, as it came, without our own parameters."""
    path = request.rel_url.raw_path.removeprefix(mount_of(request))
    rest = path.removeprefix(prefix) if path.startswith(prefix) else ""
    kept = [
        part
        for part in request.rel_url.raw_query_string.split("&")
        if part and part.split("=", 1)[0] not in _OURS
    ]
    return rest + ("?" + "&".join(kept) if kept else "")
