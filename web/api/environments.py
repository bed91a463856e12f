"""Look at environments, and end them."""

from aiohttp import web

from culler.policy import last_use
from spawner.errors import UnknownEnvironment
from spawner.model import Environment
from web.answers import EnvironmentAnswer, EnvironmentsAnswer, StoppedAnswer
from web.auth import require_scope, require_use_of
from web.context import SERVICE, SETTINGS
from web.operations import Operations, Parameter
from web.origin import environment_origin
from web.scopes import Scope
from web.views import environment_view, expires_at

ID = Parameter(description="Of an environment", example="ghm2mxd6bqqgtcrfq9s3mppod")
_OF_ONE = {403: "forbidden", 410: "gone"}

api = Operations("environments", plain=True, parameters={"id": ID})


@api.get("/api/environments", scope=Scope.ADMIN, answer=EnvironmentsAnswer)
async def list_environments(request: web.Request) -> web.Response:
    """List all that take a place, for the operator."""
    require_scope(request, Scope.ADMIN)
    environments = await request.app[SERVICE].environments()
    return web.json_response({"environments": [view(request, one) for one in environments]})


@api.get("/api/environments/{id}", fails=_OF_ONE, answer=EnvironmentAnswer)
async def show_environment(request: web.Request) -> web.Response:
    """Show one, also one that ended within a day."""
    return web.json_response(view(request, await _find(request)))


@api.delete("/api/environments/{id}", fails=_OF_ONE, answer=StoppedAnswer)
async def stop_environment(request: web.Request) -> web.Response:
    """Begin its end; doing so again changes nothing."""
    environment = await _find(request)
    has_begun = await request.app[SERVICE].stop(environment.id)
    return web.json_response({"id": environment.id, "stopped": has_begun})


def view(request: web.Request, environment: Environment) -> EnvironmentAnswer:
    """Show one environment as this caller reaches it."""
    template = request.app[SERVICE].templates.get(environment.template)
    culling = request.app[SETTINGS].culling
    expires = expires_at(environment, template, culling)
    is_handed_out = environment.assigned_at is not None
    used = last_use(environment, culling.activity_counts) if is_handed_out else None
    origin = environment_origin(request, environment.id)
    return environment_view(environment, origin=origin, used=used, expires=expires)


routes = api.routes


async def _find(request: web.Request) -> Environment:
    environment_id = request.match_info["id"]
    environment = await request.app[SERVICE].find(environment_id)
    if environment is None:
        raise UnknownEnvironment(environment_id)
    require_use_of(request, environment)
    return environment
