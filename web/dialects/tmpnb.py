"""tmpnb's interface, which old Thebe, scripts and redirectors speak.

What it promised is kept (status 200, ``{"url": …}``, ``{"status": "full"}``),
and what it left out is added beside it. Where tmpnb answered failures with
HTML, JSON is given: its clients parse every answer as JSON.
"""

import json
from typing import Any

from aiohttp import web
from pydantic import BaseModel, Field

from spawner.errors import UnknownTemplate
from spawner.model import Auth, Environment, PoolStatus
from web.answers import CountsAnswer, DrainedAnswer, SpawnedAnswer, StatsAnswer
from web.auth import require_launch_by_api, require_scope
from web.callers import allowance_of
from web.context import SERVICE, SETTINGS, default_template, mount_of
from web.operations import Operations
from web.origin import environment_origin, scope_of
from web.problems import bad_request
from web.scopes import Scope
from web.urlpath import inside
from web.version import VERSION
from web.views import expires_at, timestamp
from web.visits import is_idempotency_key

api = Operations("launches", plain=True)


class Spawn(BaseModel):
    """What is launched; old clients send all kinds of things beside it."""

    template: str | None = Field(None, description="The default one where absent")


@api.post(
    "/api/spawn",
    "/api/spawn/",
    scope=Scope.LAUNCH,
    body=Spawn | None,
    fails={
        404: "unknown_template",
        410: "launch_lapsed",
        422: "key_reused",
        429: ("full", "limited"),
        503: ("failing", "draining", "launch_timeout"),
    },
    answer=SpawnedAnswer,
)
async def spawn(request: web.Request) -> web.Response:
    """Hand out an environment, waiting until one is ready."""
    require_launch_by_api(request)
    service = request.app[SERVICE]
    name = await _wanted_template(request)
    environment = await service.launch(
        name,
        ticket=_ticket(request),
        within=request.app[SETTINGS].launch_timeout,
        allowance=allowance_of(request),
    )
    return web.json_response(
        _handed_out(request, environment), headers={"Cache-Control": "no-store"}
    )


@api.get("/api/stats", "/api/stats/", answer=StatsAnswer)
async def stats(request: web.Request) -> web.Response:
    """Count: the default template as tmpnb did, and every template by name."""
    service = request.app[SERVICE]
    counted = {
        status.template: _stats_of(request, status)
        for status in await service.pool_status()
        if status.template in service.templates
    }
    nothing = {"available": 0, "capacity": 0, "container_image": ""}
    default = counted.get(default_template(request), nothing)
    body = {
        "available": default["available"],
        "capacity": default["capacity"],
        "version": VERSION,
        "container_image": default["container_image"],
        "templates": counted,
    }
    return web.json_response(body, headers={"Cache-Control": "no-cache"})


async def old_stats(request: web.Request) -> web.Response:
    """Say where the counts are; tmpnb's redirector asks here."""
    return web.Response(status=301, headers={"Location": f"{mount_of(request)}api/stats"})


@api.delete("/api/pool", "/api/pool/", scope=Scope.ADMIN, answer=DrainedAnswer)
async def drain(request: web.Request) -> web.Response:
    """End all spares; fresh ones follow at once."""
    require_scope(request, Scope.ADMIN)
    return web.json_response({"drained": await request.app[SERVICE].drain()})


def routes() -> list[web.RouteDef]:
    """List what this module serves."""
    return [
        *api.routes(),
        *(web.get(path, old_stats) for path in ("/stats", "/stats/")),
    ]


async def _wanted_template(request: web.Request) -> str:
    """Read which template is wanted.

    tmpnb ignored the body, and its clients send all kinds. So only a JSON
    object is looked at; its ``template`` is binding, while ``image_name``
    (old Thebe always sends one) counts only where it names something here.
    """
    body = await _json_object(request)
    templates = request.app[SERVICE].templates
    wanted = body.get("template", request.query.get("template"))
    if wanted is not None:
        if not isinstance(wanted, str):
            raise bad_request('"template" must be a name.')
        if wanted not in templates:
            raise UnknownTemplate(wanted)
        return wanted
    image = body.get("image_name")
    for template in templates.values():
        if image in (template.name, template.image):
            return template.name
    return default_template(request)


async def _json_object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError) as error:
        # Who says that it is JSON means it; who says nothing never did.
        if request.content_type == "application/json":
            raise bad_request("The body is no JSON.") from error
        return {}
    return body if isinstance(body, dict) else {}


def _ticket(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not is_idempotency_key(key):
        raise bad_request("Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return request.app[SERVICE].ticket(scope_of(request), key)


def _handed_out(request: web.Request, environment: Environment) -> SpawnedAnswer:
    service = request.app[SERVICE]
    origin = environment_origin(request, environment.id)
    token = "" if environment.auth is Auth.NONE else service.token(environment.id)
    # Only with auth "url": old Thebe appends paths to this, which a query breaks.
    in_url = f"token={token}" if environment.auth is Auth.URL else ""
    expires = expires_at(
        environment,
        service.templates.get(environment.template),
        request.app[SETTINGS].culling,
    )
    return {
        # Its clients put their tmpnb's own address in front, which leads there too.
        "url": inside(environment.base_path, "", parameter=in_url),
        "id": environment.id,
        "template": environment.template,
        "base_url": origin.url(environment.base_path),
        "ws_url": origin.ws_url(environment.base_path),
        "token": token,
        "expires_at": timestamp(expires),
    }


def _stats_of(request: web.Request, status: PoolStatus) -> CountsAnswer:
    service = request.app[SERVICE]
    pool = service.pools.get(status.template)
    return {
        "available": status.spares,
        "capacity": pool.size if pool else 0,
        "container_image": service.templates[status.template].image,
        "waiting": status.waiting,
    }
