"""Everything at one glance, for the operator: what ``tmpenv status`` prints."""

from aiohttp import web

from web.answers import StatusAnswer
from web.api.environments import view
from web.auth import require_scope
from web.context import SERVICE, SETTINGS
from web.operations import Operations
from web.scopes import Scope
from web.version import VERSION
from web.views import drain_view, pool_view, timestamp

api = Operations("status", plain=True)


@api.get("/api/status", scope=Scope.ADMIN, answer=StatusAnswer)
async def status(request: web.Request) -> web.Response:
    """Show pools and environments."""
    require_scope(request, Scope.ADMIN)
    service = request.app[SERVICE]
    pools = await service.pool_status()
    environments = await service.environments()
    body: StatusAnswer = {
        "version": VERSION,
        "instance": request.app[SETTINGS].instance,
        "now": timestamp(await service.now()),
        "backend": {"name": service.backend.name, "warning": service.backend.warning},
        "drain": drain_view(await service.instance_drain.status()),
        "pools": [
            pool_view(one, service.templates.get(one.template), service.pools.get(one.template))
            for one in pools
        ],
        "environments": [view(request, one) for one in environments],
    }
    return web.json_response(body, headers={"Cache-Control": "no-store"})


routes = api.routes
