"""The Binder API's pools: how many environments of a template there are, and how many are ready.

A pool of size n has n places, and those that nobody has are kept ready. Size 0 hands out
nothing. A template without a pool is launched anew each time. What the configuration
declares cannot be changed here (409).
"""

from http import HTTPStatus
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, Field

from spawner.model import Phase, Pool, PoolStatus
from web.context import SERVICE
from web.dialects.binder_templates import TEMPLATE, TYPES, recipe_of
from web.operations import NUMBER, Operations, Wire
from web.problems import RequestRefused
from web.scopes import Scope

#: More than any deployment has.
_LARGEST = 100_000
_DECLARED = {409: "template_declared"}
_NO_POOL = {404: ("doesNotExist", "noPool")}


class PoolSize(Wire):
    """How large a pool is to be."""

    size: Annotated[int, Field(ge=0, le=_LARGEST), NUMBER] = Field(
        description="Places; 0 hands out nothing"
    )


class PoolView(BaseModel):
    """A pool as it is shown."""

    model_config = Wire.model_config

    template_name: str
    size: int = Field(description="Places that are wanted")
    available: int = Field(description="Ready, and nobody's yet")
    running: int = Field(description="Handed out")
    waiting: int = Field(description="Launches that wait for one")


api = Operations("pools", types=TYPES, parameters={"template": TEMPLATE})


@api.get("/pools", scope=Scope.POOL)
async def list_pools(request: web.Request) -> list[PoolView]:
    """List all pools; a template without one is not among them."""
    catalogue = request.app[SERVICE].catalogue
    statuses = {one.template: one for one in await request.app[SERVICE].pool_status()}
    return [
        _view(name, recipe.pool, statuses.get(name))
        for name, recipe in catalogue.recipes.items()
        if recipe.pool is not None
    ]


@api.get("/pools/{template}", scope=Scope.READ, fails=_NO_POOL)
async def show_pool(request: web.Request) -> PoolView:
    """Show one pool."""
    return await _shown(request, *_pool(request))


@api.post("/pools/{template}", scope=Scope.POOL, fails={404: "doesNotExist", **_DECLARED})
async def make_pool(request: web.Request, body: PoolSize) -> PoolView:
    """Make a pool, or resize the one that there is, at once."""
    return await _resized(request, body.size)


@api.put("/pools/{template}", scope=Scope.POOL, fails={404: "doesNotExist", **_DECLARED})
async def resize_pool(request: web.Request, body: PoolSize) -> PoolView:
    """Make a pool, or resize the one that there is, at once."""
    return await _resized(request, body.size)


@api.delete("/pools/{template}", scope=Scope.POOL, fails={**_NO_POOL, **_DECLARED})
async def remove_pool(request: web.Request) -> PoolView:
    """Remove a pool: its spares end, its sessions go on, and launching starts anew."""
    name, pool = _pool(request)
    await request.app[SERVICE].catalogue.set_pool(name, None)
    return await _shown(request, name, pool)


routes = api.routes


async def _resized(request: web.Request, size: int) -> PoolView:
    recipe = recipe_of(request)
    name, pool = recipe.template.name, recipe.pool or Pool()
    # Every place that nobody has is kept ready, as the Binder API means it.
    wanted = pool.model_copy(update={"size": size, "spare": None})
    catalogue = request.app[SERVICE].catalogue
    if wanted != recipe.pool:
        await catalogue.set_pool(name, wanted)
    return await _shown(request, name, wanted)


def _pool(request: web.Request) -> tuple[str, Pool]:
    """Find the pool of the template that the path names.

    Raises:
        UnknownTemplate
        RequestRefused: It has none.
    """
    recipe = recipe_of(request)
    name = recipe.template.name
    if recipe.pool is None:
        raise RequestRefused(HTTPStatus.NOT_FOUND, "noPool", f'The template "{name}" has no pool.')
    return name, recipe.pool


async def _shown(request: web.Request, name: str, pool: Pool) -> PoolView:
    statuses = await request.app[SERVICE].pool_status()
    return _view(name, pool, next((one for one in statuses if one.template == name), None))


def _view(name: str, pool: Pool, status: PoolStatus | None) -> PoolView:
    return PoolView(
        template_name=name,
        size=pool.size,
        available=status.spares if status else 0,
        running=status.counts.get(Phase.ASSIGNED, 0) if status else 0,
        waiting=status.waiting if status else 0,
    )
