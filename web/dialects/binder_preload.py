"""The Binder API's preload, which pulls an image ahead of its first launch, and its health."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, Field

from spawner.errors import ServiceError
from spawner.store.preloads import Preload
from web.context import SERVICE
from web.dialects.binder_templates import TEMPLATE, TYPES, recipe_of
from web.operations import Operations, Wire
from web.scopes import Scope
from web.views import timestamp

ANSWER_TIMEOUT_S = 5.0


class PreloadView(BaseModel):
    """How a preload goes; without anything where there was none."""

    model_config = Wire.model_config

    template: str | None = None
    name: str | None = None
    status: Literal["loading", "completed", "failed"] | None = None
    start_time: str | None = None
    progress: str | None = Field(None, description="While it loads")
    error: str | None = Field(None, description="Why it failed")


class PartHealth(BaseModel):
    """Whether one part of the service works."""

    name: Literal["build", "deploy", "registry"]
    timestamp: str
    status: Literal["running", "down"]


api = Operations("preload and health", types=TYPES, parameters={"template": TEMPLATE})


@api.post("/preload/{template}", scope=Scope.TEMPLATE, fails={404: "doesNotExist"})
async def preload(request: web.Request) -> PreloadView:
    """Begin to pull what a template needs; ask again for how that goes."""
    return _view(await request.app[SERVICE].preloads.begin(recipe_of(request).template))


@api.get("/preload/{template}", scope=Scope.TEMPLATE, fails={404: "doesNotExist"})
async def preload_status(request: web.Request) -> PreloadView:
    """Say how the last preload of a template goes or went."""
    found = await request.app[SERVICE].preloads.find(recipe_of(request).template.name)
    return PreloadView() if found is None else _view(found)


@api.get("/health", scope=Scope.ADMIN)
async def health(request: web.Request) -> list[PartHealth]:
    """Say whether building, launching and the templates work, asking each part now."""
    service = request.app[SERVICE]
    store, backend = await asyncio.gather(
        _answers(service.ping()), _answers(service.backend.ping())
    )
    # Our own clock: the store may be what does not answer.
    now = timestamp(datetime.now(UTC))
    parts = {
        "build": store and backend and service.builds is not None,
        "deploy": store and backend,
        "registry": store,
    }
    return [
        PartHealth.model_validate(
            {"name": name, "timestamp": now, "status": "running" if works else "down"}
        )
        for name, works in parts.items()
    ]


routes = api.routes


def _view(preload: Preload) -> PreloadView:
    detail = preload.detail or None
    return PreloadView(
        template=preload.template,
        name=preload.template,
        status=preload.state,
        start_time=timestamp(preload.began_at),
        progress=detail if preload.state == "loading" else None,
        error=detail if preload.state == "failed" else None,
    )


async def _answers(question: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await question
    except (ServiceError, TimeoutError):
        return False
    return True
