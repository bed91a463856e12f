"""Who may do what.

The operator's key opens everything. Launching is open to all unless the
settings say otherwise. An environment may be looked at and ended by who may
use it: who knows its id, or for auth "url" and "cookie" who has its token as well.
"""

import hmac

from aiohttp import web

from spawner.model import Auth, Environment
from web.context import API_KEY, SERVICE, SETTINGS
from web.problems import denied
from web.scopes import Scope
from web.visits import presented_key

_EVERYTHING = frozenset({Scope.ADMIN})


def has_scope(request: web.Request, scope: Scope) -> bool:
    """Say whether the request carries a key that is good for this."""
    return bool(scopes_of(request) & scope.within)


def require_scope(request: web.Request, scope: Scope) -> None:
    """Refuse a request without a key that is good for this."""
    if not has_scope(request, scope):
        raise denied()


def scopes_of(request: web.Request) -> frozenset[Scope]:
    """Give what the key that the request carries is good for."""
    return _EVERYTHING if _matches(request, request.app[API_KEY]) else frozenset()


def require_launch_by_api(request: web.Request) -> None:
    """Refuse a launch by API that needs a key and has none."""
    if request.app[SETTINGS].tmpnb.api_auth_required:
        require_scope(request, Scope.LAUNCH)


def require_launch_by_link(request: web.Request) -> None:
    """Refuse a launch by link where only the API hands out: a link carries no key."""
    if request.app[SETTINGS].tmpnb.api_auth_required:
        raise denied("Environments are handed out through the API alone here.")


def require_use_of(request: web.Request, environment: Environment) -> None:
    """Refuse who may not use this environment."""
    if environment.auth in (Auth.PROXY, Auth.NONE) or has_scope(request, Scope.ADMIN):
        return
    if not _matches(request, request.app[SERVICE].token(environment.id)):
        raise denied("This needs the environment's token or the API key.")


def _matches(request: web.Request, key: str) -> bool:
    presented = presented_key(request.headers.get("Authorization", ""))
    # Compared as bytes: a str with non-ASCII characters would raise.
    return hmac.compare_digest(
        presented.encode(errors="surrogateescape"), key.encode(errors="surrogateescape")
    )
