"""Give a visitor an environment by redirect: what every link that launches comes to.

The one rule: nothing is taken that nobody will see. What fetches ahead, asks
for the head alone or embeds the link as an image gets no environment, and a
link that cannot be followed is refused before one is taken.
"""

import hmac
import time
from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from aiohttp import web

from culler.policy import policy_of
from proxy.guard import make_pass
from spawner.errors import Limited, UnknownTemplate
from spawner.model import Auth, Environment, Phase, Template
from spawner.service import Service
from web.auth import require_launch_by_link
from web.callers import allowance_of
from web.context import RENDERER, SERVICE, SETTINGS, mount_of
from web.middleware import is_page_wanted
from web.origin import environment_origin, hosts_of, origin_of
from web.problem_pages import Way, problem_page
from web.problems import RequestRefused, bad_request, problem_of
from web.urlpath import BadUrlPath, inside
from web.views import title_of
from web.visits import is_embedded_resource, is_speculative

_COOKIE_AGE = timedelta(days=30)


async def hand_out(request: web.Request, name: str, urlpath: str | None) -> web.Response:
    """Send a visitor into an environment of a template, or to where to wait for one.

    A visitor who has one that still runs is brought back to it, unless the
    query says ``new=1``. ``urlpath`` of None leads to where the template says.

    Raises:
        RequestRefused: It is no visit, or its link cannot be followed.
        UnknownTemplate, Limited, PoolFull, PoolFailing, StoreUnavailable
    """
    service = request.app[SERVICE]
    require_launch_by_link(request)
    template = service.templates.get(name)
    if template is None:
        raise UnknownTemplate(name)
    landing = template.urlpath if urlpath is None else urlpath
    check_landing(landing)
    if request.method == "HEAD":
        return web.Response(headers={"Cache-Control": "no-store"})
    _require_visit(request.headers)

    environment = None if request.query.get("new") == "1" else await _running(request, template)
    if environment is None:
        try:
            ticket = await service.request(name, allowance=allowance_of(request))
        except Limited as error:
            return await _limited(request, error)
        if ticket.environment is None:
            return redirect(wait_url(mount_of(request), ticket.id, name, landing))
        environment = ticket.environment
    return enter(request, environment, landing)


def enter(request: web.Request, environment: Environment, landing: str) -> web.Response:
    """Send a visitor into their environment, and remember that it is theirs."""
    parameter = opening(request.app[SERVICE], environment)
    location = inside(environment.base_path, landing, parameter=parameter)
    if hosts_of(request.app[SETTINGS]) is not None:
        location = environment_origin(request, environment.id).url(location)
    response = redirect(location)
    response.set_cookie(
        _cookie_name(request, environment.template),
        _claim(request.app[SERVICE], environment),
        max_age=int((_longest_life(request, environment) or _COOKIE_AGE).total_seconds()),
        path=mount_of(request),
        httponly=True,
        samesite="Lax",
        secure=origin_of(request).is_secure,
    )
    return response


def wait_url(mount: str, ticket: str, template: str, landing: str) -> str:
    """Give the address of the waiting page of a launch."""
    query = {"template": template, "urlpath": landing}
    return f"{mount}wait/{ticket}?{urlencode(query)}"


def redirect(location: str) -> web.Response:
    """Send the client on, this time only."""
    headers = {"Location": location, "Cache-Control": "no-store"}
    return web.Response(status=HTTPStatus.FOUND, headers=headers)


def check_landing(urlpath: str) -> None:
    """Refuse a link that might lead out of its environment.

    Raises:
        RequestRefused: It might.
    """
    try:
        inside("/user/x/", urlpath)
    except BadUrlPath as error:
        raise bad_request(str(error), "bad_urlpath") from error


def _require_visit(headers: Mapping[str, str]) -> None:
    # An answer that a browser would keep for the click to come must not be a
    # success, so that the click asks again.
    if is_speculative(headers):
        raise RequestRefused(
            HTTPStatus.SERVICE_UNAVAILABLE, "prefetch", "An environment is given to visitors alone."
        )
    if is_embedded_resource(headers):
        raise RequestRefused(
            HTTPStatus.FORBIDDEN, "no_visit", "A launch link is to be opened, not embedded."
        )


async def _limited(request: web.Request, error: Limited) -> web.Response:
    """Say that a limit is reached, and lead to what this browser was given, if that runs.

    Raises:
        Limited: It is no page that was asked for.
    """
    if not is_page_wanted(request):
        raise error
    mount = mount_of(request)
    ways = [Way("To the start page", mount)]
    for template in request.app[SERVICE].templates.values():
        environment = await _running(request, template)
        if environment is not None:
            # Without new=1, its own link leads back into it.
            href = f"{mount}launch/{template.name}"
            ways.insert(0, Way(f"Back to {title_of(template)}", href))
    problem = problem_of(error)
    page = problem_page(request.app[RENDERER], problem, ways=tuple(ways))
    return web.Response(
        text=page, content_type="text/html", status=problem.status, headers=problem.headers
    )


async def _running(request: web.Request, template: Template) -> Environment | None:
    """Find the environment that this visitor has of this template, if it still runs."""
    known = request.cookies.get(_cookie_name(request, template.name), "").partition(".")[0]
    if not known.isalnum() or not known.isascii():
        return None
    environment = await request.app[SERVICE].find(known)
    if environment is None or environment.template != template.name:
        return None
    return environment if is_open_to_visits(request, environment) else None


def is_open_to_visits(request: web.Request, environment: Environment) -> bool:
    """Say whether a visitor who names an environment can be led into it.

    Naming it is enough, but for auth "cookie", where only who was given it may.
    """
    is_there = environment.phase is Phase.ASSIGNED and environment.is_under(mount_of(request))
    return is_there and _is_theirs(request, environment)


def _is_theirs(request: web.Request, environment: Environment) -> bool:
    if environment.auth is not Auth.COOKIE:
        return True
    shown = request.cookies.get(_cookie_name(request, environment.template), "")
    claim = _claim(request.app[SERVICE], environment)
    return hmac.compare_digest(shown.encode(errors="surrogateescape"), claim.encode())


def opening(service: Service, environment: Environment) -> str:
    """Give what in the link lets its visitor in, beside the address."""
    if environment.auth is Auth.URL:
        return f"token={service.token(environment.id)}"
    if environment.auth is Auth.COOKIE:
        return make_pass(service.session(environment.id), time.time())
    return ""


def _claim(service: Service, environment: Environment) -> str:
    """Give what a browser remembers of an environment that it was given."""
    if environment.auth is Auth.COOKIE:
        return f"{environment.id}.{service.session(environment.id)}"
    return environment.id


def _longest_life(request: web.Request, environment: Environment) -> timedelta | None:
    template = request.app[SERVICE].templates.get(environment.template)
    return policy_of(template, request.app[SETTINGS].culling).max_age


def _cookie_name(request: web.Request, template: str) -> str:
    # The edge keeps cookies with this prefix back from environments.
    return request.app[SETTINGS].proxy.own_cookies_prefix + template
