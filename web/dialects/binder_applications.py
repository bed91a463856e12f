"""The Binder API's applications: launch a template, see how that goes, end it.

Launching answers at once; whoever launched asks until there is a ``location``. An id is
a capability, as an environment's address is: who knows it may look. Ending one and reading
its log needs a key of scope "admin", or the ``token`` that the launch was answered with.

Here ``cull-timeout`` is in milliseconds, while it is in seconds in a template: that is
what the clients of each send (contract binder D-12).
"""

import hmac
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from culler.policy import due_at, policy_for
from spawner.applications import Application
from spawner.errors import UnknownTemplate
from spawner.lifecycle import COMING
from spawner.model import Auth, Environment, Phase
from web.api.logs import LogQuery, log_of
from web.auth import has_scope
from web.callers import allowance_of
from web.context import SERVICE, SETTINGS
from web.dialects.binder_templates import TEMPLATE, TYPES, recipe_of
from web.handout import opening
from web.operations import NUMBER, Operations, Parameter, Wire, malformed
from web.origin import environment_origin, hosts_of, scope_of
from web.problems import RequestRefused, bad_request
from web.scopes import Scope
from web.views import timestamp
from web.visits import is_idempotency_key, presented_key

Status = Literal["pending", "deploying", "deployed", "failed", "deleted"]
_LIVE = ("pending", "deploying", "deployed")
#: Why a launch was given up that did not fail.
_ENDED_WELL = ("abandoned", "stopped")
_LONGEST_MS = 10**12
_NOT_FOUND = {404: ("doesNotExist", "noRecord")}


class Launch(Wire):
    """What is to be launched."""

    template_name: str | None = Field(None, description="Where the path names none")
    cull_timeout: Annotated[
        Annotated[int, Field(gt=0, le=_LONGEST_MS), NUMBER] | None,
        Field(description="Milliseconds without use until it is ended; not above the template's"),
    ] = None


class Which(Wire):
    """Which applications to list."""

    all: bool = Field(default=False, description="Also those that ended within a day")
    status: Status | None = Field(None, description="Those alone")


class ApplicationView(BaseModel):
    """An application as it is shown."""

    model_config = Wire.model_config

    id: str
    template_name: str
    status: Status
    location: str | None = Field(None, description="Where it answers; absent until it does")
    error: str | None = Field(None, description="Why it failed")
    cull_timeout_ms: int | None = Field(None, description="Ended after so long without use")
    cull_at: str | None = Field(None, description="When that is, if nobody uses it")
    token: str | None = Field(None, description="Ends it and reads its log; told at its launch")


_ID = Parameter(description="As the launch was answered", pattern="[^/]+")

api = Operations(
    "applications",
    types={**TYPES, "gone": "noRecord"},
    parameters={"template": TEMPLATE, "id": _ID},
)


@api.post(
    "/applications/{template}",
    "/applications",
    scope=Scope.LAUNCH,
    fails={
        400: "bad_request",
        404: "doesNotExist",
        410: "launch_lapsed",
        422: ("malformedRequest", "key_reused"),
        429: ("full", "limited"),
        503: ("failing", "draining", "store_unavailable"),
    },
)
async def launch_application(request: web.Request, body: Launch | None = None) -> ApplicationView:
    """Launch a template; the answer has a location if one was ready."""
    wanted = body or Launch()
    name = request.match_info.get("template", wanted.template_name)
    if name is None:
        raise malformed(
            "Request does not contain the required parameters for this endpoint: template-name"
        )
    service = request.app[SERVICE]
    template = service.templates.get(name.lower())
    if template is None:
        raise UnknownTemplate(name)
    timeout = wanted.cull_timeout
    application = await service.applications.launch(
        template.name,
        auth=template.auth,
        ticket=_ticket(request),
        idle_timeout=None if timeout is None else timedelta(milliseconds=timeout),
        allowance=allowance_of(request),
    )
    view = await _view(request, application)
    return view.model_copy(update={"token": service.token(application.id)})


@api.get("/applications", scope=Scope.ADMIN)
async def list_applications(request: web.Request, query: Which) -> list[ApplicationView]:
    """List all applications, without a query those that wait or run."""
    return await _list(request, query, lambda _: True)


@api.get("/applications/{template}", scope=Scope.ADMIN, fails={404: "doesNotExist"})
async def list_applications_of(request: web.Request, query: Which) -> list[ApplicationView]:
    """List the applications of one template."""
    name = recipe_of(request).template.name
    return await _list(request, query, lambda one: one.template == name)


@api.get("/applications/{template}/{id}", scope=Scope.READ, fails=_NOT_FOUND)
async def show_application(request: web.Request) -> ApplicationView:
    """Show how an application goes; asking keeps a launch that waits from being given up."""
    return await _view(request, await _find(request))


@api.delete("/applications/{template}/{id}", fails=_NOT_FOUND)
async def stop_application(request: web.Request) -> ApplicationView:
    """End an application; doing so again changes nothing."""
    application = await _find(request)
    _require_owner(request, application)
    await request.app[SERVICE].applications.stop(application)
    return await _view(request, await _find(request))


@api.get(
    "/applications/{template}/{id}/logs",
    fails={
        404: "noRecord",
        409: "not_started",
        410: "noRecord",
        429: "too_many_followers",
        503: "backend_unavailable",
    },
    gives={"text/plain": "the lines as they were printed"},
    has_head=False,
)
async def application_log(request: web.Request, query: LogQuery) -> web.StreamResponse:  # noqa: ARG001
    """Give the last lines that an application printed, and with `follow=1` all that come."""
    application = await _find(request)
    _require_owner(request, application)
    if application.environment is None:
        raise RequestRefused(
            HTTPStatus.CONFLICT, "not_started", "It has not begun to run; ask again in a moment."
        )
    return await log_of(request, application.environment.id)


routes = api.routes


async def _find(request: web.Request) -> Application:
    """Find what the path names, under the template that it names.

    Raises:
        RequestRefused: There is no such application.
    """
    wanted, name = request.match_info["id"], request.match_info["template"].lower()
    found = await request.app[SERVICE].applications.find(wanted)
    if found is None or found.template != name:
        raise RequestRefused(
            HTTPStatus.NOT_FOUND,
            "noRecord",
            "There is no record for that template/ID combination",
        )
    if not found.is_ticket:
        _require_opening(request, found)
    return found


def _require_opening(request: web.Request, application: Application) -> None:
    """Refuse who knows an environment's address where that is not enough."""
    environment = application.environment
    assert environment is not None
    if environment.auth in (Auth.URL, Auth.COOKIE):
        _require_owner(request, application)


def _require_owner(request: web.Request, application: Application) -> None:
    service = request.app[SERVICE]
    known = {application.id, *([application.environment.id] if application.environment else [])}
    shown = presented_key(request.headers.get("Authorization", ""))
    is_owner = any(
        hmac.compare_digest(shown.encode(errors="surrogateescape"), service.token(one).encode())
        for one in known
    )
    if not is_owner and not has_scope(request, Scope.ADMIN):
        raise RequestRefused(HTTPStatus.FORBIDDEN, "unauthorized", "Unauthorized request")


def _ticket(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return ""
    if not is_idempotency_key(key):
        raise bad_request("Idempotency-Key must be 1 to 255 visible ASCII characters.")
    # The same key at another interface is another launch.
    return request.app[SERVICE].ticket(f"application\n{scope_of(request)}", key)


async def _list(
    request: web.Request, query: Which, is_wanted: Callable[[Application], bool]
) -> list[ApplicationView]:
    applications = request.app[SERVICE].applications
    found = [one for one in await applications.all() if is_wanted(one)]
    is_ended_wanted = query.all or query.status in ("failed", "deleted")
    if is_ended_wanted:
        found += [one for one in await applications.ended() if is_wanted(one)]
    coming = await _coming(request)
    views = [_shown(request, one, coming) for one in found]
    return [one for one in views if query.status in (None, one.status)]


async def _view(request: web.Request, application: Application) -> ApplicationView:
    waits = application.environment is None and not application.given_up
    return _shown(request, application, await _coming(request) if waits else Counter())


async def _coming(request: web.Request) -> Counter[str]:
    """Count the environments of each template that are being started."""
    statuses = await request.app[SERVICE].pool_status()
    return Counter(
        {one.template: sum(one.counts.get(phase, 0) for phase in COMING) for one in statuses}
    )


def _shown(request: web.Request, application: Application, coming: Counter[str]) -> ApplicationView:
    status = _status(application, coming)
    environment = application.environment
    is_deployed = environment is not None and status == "deployed"
    return ApplicationView(
        id=application.id,
        template_name=application.template,
        status=status,
        location=_location(request, application) if is_deployed else None,
        error=_error(application) if status == "failed" else None,
        **(_culling(request, environment) if environment and is_deployed else {}),
    )


def _status(application: Application, coming: Counter[str]) -> Status:
    if application.environment is not None:
        if application.environment.phase is Phase.ASSIGNED:
            return "deployed"
        return "failed" if application.environment.phase is Phase.FAILED else "deleted"
    if application.given_up:
        return "deleted" if application.given_up in _ENDED_WELL else "failed"
    return "deploying" if application.place <= coming[application.template] else "pending"


def _error(application: Application) -> str:
    if application.environment is not None:
        return application.environment.reason
    return application.given_up.removeprefix("failing: ")


def _location(request: web.Request, application: Application) -> str:
    """Say where it answers: a path, or an address where a public one is set.

    What opens it goes along for who knows more than its address.
    """
    environment, settings = application.environment, request.app[SETTINGS]
    assert environment is not None
    way_in = opening(request.app[SERVICE], environment) if application.is_ticket else ""
    path = environment.base_path.removesuffix("/") + (f"/?{way_in}" if way_in else "")
    if hosts_of(settings) is not None:
        return environment_origin(request, environment.id).url(path)
    return f"{settings.service_origin}{path}"


def _culling(request: web.Request, environment: Environment) -> dict[str, Any]:
    template = request.app[SERVICE].templates.get(environment.template)
    policy = policy_for(environment, template, request.app[SETTINGS].culling)
    idle = policy.idle_timeout
    return {
        "cull_timeout_ms": None if idle is None else idle // timedelta(milliseconds=1),
        "cull_at": timestamp(due_at(environment, policy)),
    }
