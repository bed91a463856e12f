"""The builds of this service, for the parts of the web that speak of them."""

from http import HTTPStatus

from aiohttp import web

from spawner.builder.builds import Builds
from web.context import SERVICE
from web.problems import RequestRefused


def builds_of(request: web.Request) -> Builds:
    """Give what makes images here.

    Raises:
        RequestRefused: Nothing does: what runs environments here has no images.
    """
    service = request.app[SERVICE]
    if service.builds is None:
        raise RequestRefused(
            HTTPStatus.NOT_IMPLEMENTED,
            "buildsUnavailable",
            "No images are built here: environments run on "
            f'"{service.backend.name}", and only Docker has images.',
        )
    return service.builds
