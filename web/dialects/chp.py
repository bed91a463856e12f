"""configurable-http-proxy's REST API, over which JupyterHub keeps its routes.

Routes are read and changed under ``/api/routes``. Whoever asks is looked at
before anything else of the request is: without the token there is only 403.
"""

import hmac
import json
import logging
import re
from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import unquote

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.locations import BadLocation, read_location
from proxy.prefix_router import HEALTH
from spawner.errors import StoreUnavailable
from web.route_book import BookedRoute, RouteBook

log = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024  # bytes
_ROOT = "/api/routes"
_AUTHORIZATION = re.compile(r"\s*token\s+(\S+)\s*", re.IGNORECASE)
_DOT_SEGMENT = re.compile(r"(?:^|/)\.{1,2}(?:/|$)")


class RoutesApi:
    """The API over the book of routes; counts what it was asked."""

    def __init__(self, book: RouteBook, token: str) -> None:
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._book = book
        self._token = token.encode()

    def application(self) -> web.Application:
        """Put the application together."""
        app = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        app.router.add_get(HEALTH.decode(), self._health)
        for path in (_ROOT, _ROOT + "/{path:.*}"):
            app.router.add_get(path, self._read)
            app.router.add_post(path, self._put)
            app.router.add_delete(path, self._remove)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != HEALTH.decode() and not self._is_known(request):
            self.statuses[HTTPStatus.FORBIDDEN] += 1
            return web.Response(status=HTTPStatus.FORBIDDEN)
        try:
            response = await handler(request)
        except web.HTTPException as answer:
            self.statuses[answer.status] += 1
            raise
        except StoreUnavailable as error:
            self.statuses[HTTPStatus.SERVICE_UNAVAILABLE] += 1
            raise web.HTTPServiceUnavailable(text="The store does not answer; try again") from error
        except Exception:
            log.exception("A request failed", extra={"event": "chp.failed"})
            raise
        self.statuses[response.status] += 1
        return response

    def _is_known(self, request: web.Request) -> bool:
        if not self._token:
            return True
        shown = _AUTHORIZATION.fullmatch(request.headers.get("Authorization", ""))
        given = shown[1].encode("utf-8", "surrogateescape") if shown else b""
        return hmac.compare_digest(given, self._token)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "OK"})

    async def _read(self, request: web.Request) -> web.Response:
        prefix = _prefix(request)
        self.counts["get"] += 1
        before = _before(request)
        await self._book.refresh()
        if prefix != "/":
            route = self._book.get(prefix)
            if route is None:
                raise web.HTTPNotFound(text="")
            return web.json_response(self._view(route))
        routes = {
            route.prefix: self._view(route)
            for route in self._book
            if before is None or route.last_activity < before
        }
        return web.json_response(routes)

    async def _put(self, request: web.Request) -> web.Response:
        prefix = _prefix(request)
        facts = _facts(await request.read())
        target = facts.get("target")
        if not isinstance(target, str):
            _refuse("Must specify 'target' as string")
        try:
            read_location(target)
        except BadLocation as error:
            _refuse(f"'target' cannot be led to: {error}")
        await self._book.put(prefix, facts)
        self.counts["add"] += 1
        log.info("A route was put", extra={"event": "chp.put", "prefix": prefix})
        return web.Response(status=HTTPStatus.CREATED)

    async def _remove(self, request: web.Request) -> web.Response:
        prefix = _prefix(request)
        self.counts["delete"] += 1
        if not await self._book.remove(prefix):
            raise web.HTTPNotFound(text="")
        log.info("A route was taken away", extra={"event": "chp.removed", "prefix": prefix})
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _view(self, route: BookedRoute) -> dict[str, Any]:
        shown = {**route.facts, "last_activity": _written(route.last_activity)}
        if self._book.is_host_first and route.prefix != "/":
            shown["host"] = route.prefix.split("/")[1]
        return shown


def _before(request: web.Request) -> datetime | None:
    """Return the moment in the query."""
    text = request.query.get("inactiveSince") or request.query.get("inactive_since")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        _refuse("inactive_since must be a date and time in ISO 8601")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _prefix(request: web.Request) -> str:
    """Return the decoded prefix that the request's path names."""
    try:
        path = unquote(request.rel_url.raw_path.removeprefix(_ROOT), errors="strict")
    except UnicodeDecodeError:
        _refuse("The path is no UTF-8")
    if _DOT_SEGMENT.search(path):
        _refuse("A prefix with a dot segment leads nobody")
    return "/" + path.strip("/")


def _facts(body: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        _refuse("Body not valid JSON")
    if not isinstance(facts, dict):
        _refuse("Must specify 'target' as string")
    return facts


def _no_constant(_name: str) -> NoReturn:
    raise ValueError  # NaN and its like are no JSON, and nobody could read them back


def _refuse(text: str) -> NoReturn:
    raise web.HTTPBadRequest(text=text)
