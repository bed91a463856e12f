"""Drain the whole instance, for the operator: ``tmpenv drain``."""

from aiohttp import web

from web.answers import DrainAnswer
from web.auth import require_scope
from web.context import SERVICE
from web.operations import Operations
from web.scopes import Scope
from web.views import drain_view

api = Operations("drain", plain=True)


@api.get("/api/drain", scope=Scope.ADMIN, answer=DrainAnswer)
async def show(request: web.Request) -> web.Response:
    """Say whether there is a drain, and how much is left."""
    require_scope(request, Scope.ADMIN)
    return await _answer(request)


@api.post("/api/drain", scope=Scope.ADMIN, answer=DrainAnswer)
async def begin(request: web.Request) -> web.Response:
    """Hand out nothing from now on; all processes end when the last visitor has left."""
    require_scope(request, Scope.ADMIN)
    await request.app[SERVICE].instance_drain.begin()
    return await _answer(request)


@api.delete("/api/drain", scope=Scope.ADMIN, answer=DrainAnswer)
async def take_back(request: web.Request) -> web.Response:
    """Hand out again."""
    require_scope(request, Scope.ADMIN)
    await request.app[SERVICE].instance_drain.take_back()
    return await _answer(request)


routes = api.routes


async def _answer(request: web.Request) -> web.Response:
    status = await request.app[SERVICE].instance_drain.status()
    return web.json_response(drain_view(status), headers={"Cache-Control": "no-store"})
