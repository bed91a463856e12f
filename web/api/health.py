"""Say whether tmpenv is alive, and whether it can hand out.

Alive asks nothing of anybody: restarting tmpenv would not bring Redis back.
Ready names whatever is not.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from http import HTTPStatus

from aiohttp import web

from spawner.errors import ServiceError
from spawner.model import Phase, PoolStatus
from web.answers import AliveAnswer
from web.context import DEPARTURE, SERVICE
from web.operations import Operations

ANSWER_TIMEOUT_S = 5.0
_OK = "ok"

api = Operations("health", plain=True)


@api.get("/healthz", answer=AliveAnswer)
async def healthz(_request: web.Request) -> web.Response:
    """Say that the process answers."""
    return _answer({"status": _OK}, is_ok=True)


async def readyz(request: web.Request) -> web.Response:
    """Say whether Redis and the backend answer and each pool has had its first spare.

    Whoever is about to leave is not ready, so that balancers lead nobody here any more.
    """
    departure = request.app[DEPARTURE]
    departure.note_question()
    if departure.is_leaving:
        return _answer({"status": "draining"}, is_ok=False)
    service = request.app[SERVICE]
    with suppress(ServiceError):
        if (await service.instance_drain.status()).is_on:
            return _answer({"status": "draining"}, is_ok=False)
    store, backend = await asyncio.gather(_asked(service.ping()), _asked(service.backend.ping()))
    pools: dict[str, str] = {}
    if store == _OK:
        try:
            statuses = await service.pool_status()
        except ServiceError as error:
            store, statuses = str(error), []
        kept_warm = {name for name, pool in service.pools.items() if pool.target}
        pools = {one.template: _standing(one) for one in statuses if one.template in kept_warm}
    is_ok = {store, backend, *pools.values()} == {_OK}
    body = {
        "status": _OK if is_ok else "not ready",
        "store": store,
        "backend": backend,
        "pools": pools,
    }
    return _answer(body, is_ok=is_ok)


def routes() -> list[web.RouteDef]:
    """List what this module serves; what is missing is told in words of its own, undescribed."""
    return [*api.routes(), web.get("/readyz", readyz)]


def _standing(status: PoolStatus) -> str:
    # All in use is no fault: whoever has one must still be led to it.
    if status.spares or status.counts.get(Phase.ASSIGNED, 0):
        return _OK
    if status.trouble:
        return status.trouble.reason
    return status.progress or "no spare is ready yet"


async def _asked(question: Awaitable[None]) -> str:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await question
    except ServiceError as error:
        return str(error) or error.code
    except TimeoutError:
        return f"no answer within {ANSWER_TIMEOUT_S:.0f} s"
    return _OK


def _answer(body: Mapping[str, object], *, is_ok: bool) -> web.Response:
    status = HTTPStatus.OK if is_ok else HTTPStatus.SERVICE_UNAVAILABLE
    headers = {"Cache-Control": "no-store"} | ({} if is_ok else {"Retry-After": "5"})
    return web.json_response(body, status=status, headers=headers)
