"""Show, put and remove templates and their pools while tmpenv runs, for the operator.

A template is shown whole, with its variables: who has the API key may run it anyhow.
"""

import json
from http import HTTPStatus
from typing import Any

from aiohttp import web

from spawner.errors import UnknownTemplate
from spawner.store.recipes import Recipe
from web.auth import require_scope
from web.config_errors import ConfigError
from web.context import SERVICE, SETTINGS
from web.problems import RequestRefused, bad_request
from web.recipe_checks import backend_faults, read_recipes
from web.scopes import Scope

_NO_STORE = {"Cache-Control": "no-store"}


async def list_recipes(request: web.Request) -> web.Response:
    """List all, the declared ones first."""
    require_scope(request, Scope.ADMIN)
    recipes = request.app[SERVICE].catalogue.recipes
    body = {"recipes": [_view(request, recipe) for recipe in recipes.values()]}
    return web.json_response(body, headers=_NO_STORE)


async def show_recipe(request: web.Request) -> web.Response:
    """Show one."""
    require_scope(request, Scope.ADMIN)
    name = request.match_info["name"]
    recipe = request.app[SERVICE].catalogue.recipes.get(name)
    if recipe is None:
        raise UnknownTemplate(name)
    return web.json_response(_view(request, recipe), headers=_NO_STORE)


async def put_recipe(request: web.Request) -> web.Response:
    """Keep a template, in place of what there was; without "pool", its pool stays."""
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
    reach = request.app[SETTINGS].docker.reach
    if faults := backend_faults(template, service.backend.name, reach):
        raise _unfit([f"templates.{name}.{fault}" for fault in faults])
    recipe = await service.catalogue.put(template, recipes.pools.get(name), expected=expected)
    return web.json_response(_view(request, recipe), headers=_NO_STORE)


async def remove_recipe(request: web.Request) -> web.Response:
    """Remove one: its spares end, its sessions go on."""
    require_scope(request, Scope.ADMIN)
    name = request.match_info["name"]
    await request.app[SERVICE].catalogue.remove(name)
    return web.json_response({"name": name, "removed": True}, headers=_NO_STORE)


def routes() -> list[web.RouteDef]:
    """List what this module serves."""
    return [
        web.get("/api/catalogue", list_recipes),
        web.get("/api/catalogue/{name}", show_recipe),
        web.put("/api/catalogue/{name}", put_recipe),
        web.delete("/api/catalogue/{name}", remove_recipe),
    ]


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


def _view(request: web.Request, recipe: Recipe) -> dict[str, Any]:
    name = recipe.template.name
    return {
        "name": name,
        "declared": request.app[SERVICE].catalogue.declares(name),
        "version": recipe.version,
        "template": recipe.template.model_dump(mode="json", exclude_defaults=True),
        "pool": recipe.pool.model_dump(mode="json", exclude_defaults=True),
    }
