"""Show, put and remove templates and their pools while tmpenv runs, for the operator.

A template is shown whole, with its variables: who has the API key may run it anyhow.
"""

import json
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import BaseModel, Field

from spawner.errors import UnknownTemplate
from spawner.model import Pool
from spawner.services import faults as service_faults
from spawner.store.recipes import Recipe
from web.answers import RecipeAnswer, RecipesAnswer, RemovedAnswer
from web.auth import require_scope
from web.config_errors import ConfigError
from web.context import SERVICE, SETTINGS
from web.operations import Operations, Parameter
from web.problems import RequestRefused, bad_request
from web.recipe_checks import backend_faults, read_recipes
from web.scopes import Scope

_NO_STORE = {"Cache-Control": "no-store"}
_ONE = "/api/catalogue/{name}"

api = Operations(
    "catalogue",
    plain=True,
    parameters={"name": Parameter(description="Of a template", example="course")},
)


class PutRecipe(BaseModel):
    """A template to be kept, and its pool; what may stand in them, the settings say."""

    template: dict[str, Any] = Field(description="As `[templates.<name>]` of the settings")
    pool: dict[str, Any] | None = Field(None, description="As `[pools.<name>]`; else it stays")
    version: int | None = Field(None, ge=0, description="The version that is replaced; 0 for none")


@api.get("/api/catalogue", scope=Scope.ADMIN, answer=RecipesAnswer)
async def list_recipes(request: web.Request) -> web.Response:
    """List all, the declared ones first."""
    require_scope(request, Scope.ADMIN)
    recipes = request.app[SERVICE].catalogue.recipes
    body = {"recipes": [_view(request, recipe) for recipe in recipes.values()]}
    return web.json_response(body, headers=_NO_STORE)


@api.get(_ONE, scope=Scope.ADMIN, fails={404: "unknown_template"}, answer=RecipeAnswer)
async def show_recipe(request: web.Request) -> web.Response:
    """Show one."""
    require_scope(request, Scope.ADMIN)
    name = request.match_info["name"]
    recipe = request.app[SERVICE].catalogue.recipes.get(name)
    if recipe is None:
        raise UnknownTemplate(name)
    return web.json_response(_view(request, recipe), headers=_NO_STORE)


@api.put(
    _ONE,
    scope=Scope.ADMIN,
    body=PutRecipe,
    fails={409: ("template_declared", "template_changed"), 422: "bad_template"},
    answer=RecipeAnswer,
)
async def put_recipe(request: web.Request) -> web.Response:
    """Keep a template, in place of what there was; without "pool", what it has stays."""
    require_scope(request, Scope.ADMIN)
    name = request.match_info["name"]
    body = await _object(request)
    expected = _version(body.pop("version", None))
    parts = {f"{part}s": {name: body.pop(part)} for part in ("template", "pool") if part in body}
    if body or "templates" not in parts:
        raise bad_request('The body must have "template", and may have "pool" and "version".')
    try:
        recipes = read_recipes(parts)
    except ConfigError as error:
        raise _unfit([line.removeprefix("tmpenv: ") for line in error.lines]) from error
    service = request.app[SERVICE]
    template = recipes.templates[name]
    settings = request.app[SETTINGS]
    faults = backend_faults(template, service.backend.name, settings.docker.reach)
    faults += [f"services: {fault}" for fault in service_faults(template, settings.services)]
    if faults:
        raise _unfit([f"templates.{name}.{fault}" for fault in faults])
    pool = recipes.pools.get(name)
    if pool is None and name not in service.templates:
        pool = Pool()
    recipe = await service.catalogue.put(template, pool, expected=expected)
    return web.json_response(_view(request, recipe), headers=_NO_STORE)


@api.delete(
    _ONE,
    scope=Scope.ADMIN,
    fails={404: "unknown_template", 409: "template_declared"},
    answer=RemovedAnswer,
)
async def remove_recipe(request: web.Request) -> web.Response:
    """Remove one: its spares end, its sessions go on."""
    require_scope(request, Scope.ADMIN)
    name = request.match_info["name"]
    await request.app[SERVICE].catalogue.remove(name)
    return web.json_response({"name": name, "removed": True}, headers=_NO_STORE)


routes = api.routes


async def _object(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        raise bad_request("The body is no JSON.") from error
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.")
    return body


def _version(given: object) -> int | None:
    if given is None or (isinstance(given, int) and not isinstance(given, bool) and given >= 0):
        return given
    raise bad_request('"version" must be a number: the version to replace, 0 for none.')


def _unfit(lines: list[str]) -> RequestRefused:
    return RequestRefused(HTTPStatus.UNPROCESSABLE_ENTITY, "bad_template", "; ".join(lines))


def _view(request: web.Request, recipe: Recipe) -> RecipeAnswer:
    name = recipe.template.name
    return {
        "name": name,
        "declared": request.app[SERVICE].catalogue.declares(name),
        "version": recipe.version,
        "template": recipe.template.model_dump(mode="json", exclude_defaults=True),
        "pool": request.app[SERVICE].pools[name].model_dump(mode="json", exclude_defaults=True),
    }
