"""Who may do what.

The operator's key opens everything; a key that was made has the scopes it was made
with, and what ``[api] open`` names needs none. An environment may be looked at and ended
by who may use it: who knows its id, or for auth "url" and "cookie" who has its token as
well.
"""

import hmac

from aiohttp import web
from aiohttp.typedefs import Handler

from spawner.api_keys import Holder
from spawner.model import Auth, Environment
from web.config import Settings
from web.context import API_KEY, SERVICE, SETTINGS
from web.problems import denied
from web.scopes import Scope
from web.visits import presented_key

#: Who shows the key that is set in the configuration, or was made at the first start.
OPERATOR = Holder("operator", frozenset({Scope.ADMIN}))
_HOLDER = web.RequestKey("holder", Holder)


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Know whose key a request shows before anything else is decided.

    Raises:
        StoreUnavailable: It might be one that was made.
    """
    holder: Holder | None = None
    if _matches(request, request.app[API_KEY]):
        holder = OPERATOR
    elif key := _presented(request):
        holder = await request.app[SERVICE].api_keys.holder(key)
    if holder is not None:
        request[_HOLDER] = holder
    return await handler(request)


def holder_of(request: web.Request) -> Holder | None:
    """Say whose key the request shows; None for whoever shows none that is good."""
    return request.get(_HOLDER)


def has_scope(request: web.Request, scope: Scope) -> bool:
    """Say whether the request may do this: its key is good for it, or it is open to all."""
    holder = holder_of(request)
    if holder is not None and (scope is Scope.READ or holder.scopes & scope.within):
        return True
    return is_open(request.app[SETTINGS], scope)


def require_scope(request: web.Request, scope: Scope) -> None:
    """Refuse a request that may not do this."""
    if not has_scope(request, scope):
        raise denied()


def is_open(settings: Settings, scope: Scope) -> bool:
    """Say whether this needs no key here."""
    if scope is Scope.LAUNCH and settings.tmpnb.api_auth_required:
        return False
    return scope.value in settings.api.open


def require_launch_by_api(request: web.Request) -> None:
    """Refuse a launch by API that needs a key and has none."""
    require_scope(request, Scope.LAUNCH)


def require_launch_by_link(request: web.Request) -> None:
    """Refuse a launch by link where only the API hands out: a link carries no key."""
    if not is_open(request.app[SETTINGS], Scope.LAUNCH):
        raise denied("Environments are handed out through the API alone here.")


def require_use_of(request: web.Request, environment: Environment) -> None:
    """Refuse who may not use this environment."""
    if environment.auth in (Auth.PROXY, Auth.NONE) or has_scope(request, Scope.ADMIN):
        return
    if not _matches(request, request.app[SERVICE].token(environment.id)):
        raise denied("This needs the environment's token or the API key.")


def _matches(request: web.Request, key: str) -> bool:
    # Compared as bytes: a str with non-ASCII characters would raise.
    return hmac.compare_digest(
        _presented(request).encode(errors="surrogateescape"),
        key.encode(errors="surrogateescape"),
    )


def _presented(request: web.Request) -> str:
    return presented_key(request.headers.get("Authorization", ""))
