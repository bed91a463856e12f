"""The description of the whole interface: for programs as OpenAPI, for people as a page.

Both are made once, when the application is; the page shows what the document says and
nothing else. They are open to all: there is nothing in them but what anybody may try.
"""

import json
from typing import Any

from aiohttp import web

from web.api_page import sections
from web.context import RENDERER
from web.origin import origin_of

DOCUMENT: web.AppKey[dict[str, Any]] = web.AppKey("document", dict)
_HEADERS = {"Cache-Control": "no-cache"}


async def openapi(request: web.Request) -> web.Response:
    """Give the OpenAPI document."""
    return web.Response(
        text=json.dumps(request.app[DOCUMENT], indent=1),
        content_type="application/json",
        headers=_HEADERS,
    )


async def docs(request: web.Request) -> web.Response:
    """Show the document to a reader."""
    document = request.app[DOCUMENT]
    page = request.app[RENDERER].render(
        "api.html",
        about=document["info"]["description"],
        key=document["components"]["securitySchemes"]["key"]["description"],
        sections=sections(document),
        origin=origin_of(request).url(""),
    )
    return web.Response(text=page, content_type="text/html", headers=_HEADERS)


def routes() -> list[web.RouteDef]:
    """List what this module serves."""
    return [web.get("/api/openapi.json", openapi), web.get("/api/docs", docs)]
