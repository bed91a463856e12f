"""The builds of this service, for the parts of the web that speak of them."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web

from web.context import SERVICE
from web.problems import RequestRefused


@dataclass(frozen=True)
class LogEntry:
    """A line."""

    id: str
    at: datetime
    text: str


def builds_of(request: web.Request) -> Any:
    """Give what makes images here.

    Raises:
        RequestRefused: Nothing does: what runs environments here has no images.
    """
    builds = getattr(request.app[SERVICE], "builds", None)
    if builds is None:
        raise RequestRefused(
            HTTPStatus.NOT_IMPLEMENTED,
            "buildsUnavailable",
            "No images are built here: environments run on "
            f'"{request.app[SERVICE].backend.name}", and only Docker has images.',
        )
    return builds
