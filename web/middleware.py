"""The outermost layer: every failure becomes an answer, and every answer is safe to show.

Pages go to who names HTML in ``Accept``, JSON to all others and to everything
that is a program's: ``api/``, and where operations are found. Nothing of an
unexpected failure is told but the request's id, under which the log has its traceback.
"""

import asyncio
import logging
import time
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from spawner.errors import ServiceError
from web.config import PagesSettings
from web.context import INTERFACES, RENDERER, mount_of
from web.logs import REQUEST
from web.problem_pages import problem_page
from web.problems import Problem, RequestRefused, problem_of
from web.visits import wants_html

log = logging.getLogger(__name__)

_CODES = {
    HTTPStatus.BAD_REQUEST: ("bad_request", "The request is malformed."),
    HTTPStatus.NOT_FOUND: ("not_found", "There is nothing at this address."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "This address has no such method."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("too_large", "The body is too large."),
}


@web.middleware
async def answer_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer."""
    request_id = request.headers["X-Request-Id"]  # the edge has named it
    REQUEST.set(request_id)
    started = time.monotonic()
    try:
        response = await handler(request)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        response = answer(
            request, request_id, _problem_of_http(error), allow=error.headers.get("Allow")
        )
    except (ServiceError, RequestRefused) as error:
        response = answer(request, request_id, problem_of(error))
    except web.RequestPayloadError:
        # Packed by Content-Encoding, and it cannot be unpacked.
        problem = Problem(HTTPStatus.BAD_REQUEST, *_CODES[HTTPStatus.BAD_REQUEST])
        response = answer(request, request_id, problem)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:
        log.exception(
            "A request failed",
            extra={"event": "request.failed", **_facts(request)},
        )
        response = answer(
            request,
            request_id,
            Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "Internal error."),
        )
    if not response.prepared:
        response.headers["X-Request-Id"] = request_id
    log.debug(
        "Answered",
        extra={
            "event": "request.answered",
            "status": response.status,
            "ms": round((time.monotonic() - started) * 1000, 1),
            **_facts(request),
        },
    )
    return response


def answer(
    request: web.Request, request_id: str, problem: Problem, *, allow: str | None = None
) -> web.Response:
    """Tell a failure as a page or as JSON."""
    headers = problem.headers | ({"Allow": allow} if allow else {})
    if is_page_wanted(request):
        page = problem_page(request.app[RENDERER], problem, request_id=request_id)
        return web.Response(
            text=page, content_type="text/html", status=problem.status, headers=headers
        )
    body = problem.body
    if problem.code == "internal":
        body = {**body, "request_id": request_id}
    return web.json_response(body, status=problem.status, headers=headers)


def is_page_wanted(request: web.Request) -> bool:
    """Say whether this request is to be answered with a page."""
    mount = mount_of(request)
    if request.path.startswith(mount):
        first, _, _ = request.path[len(mount) :].partition("/")
        if first == "readyz" or first in request.app[INTERFACES]:
            return False
    return wants_html(request.headers.get("Accept", ""))


def security_headers(settings: PagesSettings, *, source: str = "") -> dict[str, str]:
    """Give the headers that every answer of the application carries.

    ``source`` is the origin of scripts and styles, unless it is the page's own.
    """
    source = source or "'self'"
    ancestors = " ".join(
        f"'{source}'" if source in ("self", "none") else source
        for source in settings.frame_ancestors
    )
    policy = (
        "default-src 'none'",
        f"script-src {source}",
        f"style-src {source}",
        f"img-src {source}",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors " + (ancestors or "'none'"),
    )
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Content-Type-Options": "nosniff",
        # Addresses of tickets and environments are capabilities.
        "Referrer-Policy": "no-referrer",
    }


def _problem_of_http(error: web.HTTPException) -> Problem:
    status = HTTPStatus(error.status)
    code, text = _CODES.get(status, ("refused", status.phrase))
    return Problem(status, code, text)


def _facts(request: web.Request) -> dict[str, str]:
    # The route's pattern, not the path: what stands in a path may be a capability.
    resource = request.match_info.route.resource
    return {"method": request.method, "route": resource.canonical if resource else ""}
