"""What an environment printed: its last lines, or all from now on, for the operator.

A follower holds a thread or a connection of the backend for as long as its
client listens, so there is a most; who comes later is told to wait.
"""

import logging
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from http import HTTPStatus
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, Field

from spawner.errors import ServiceError, UnknownEnvironment
from spawner.model import Environment, Phase
from web.api.environments import ID
from web.auth import require_scope
from web.context import SERVICE
from web.operations import Operations
from web.problems import RequestRefused, bad_request
from web.scopes import Scope

log = logging.getLogger(__name__)

#: The most that may follow logs at once, in one process.
FOLLOWERS = 32
TAIL = 100
MOST_LINES = 100_000
_HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    # A proxy before this one would otherwise keep lines until it has many.
    "X-Accel-Buffering": "no",
}


class Followers:
    """Counts who follows a log at the moment."""

    def __init__(self, most: int = FOLLOWERS) -> None:
        self.most = most
        self.count = 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be one of them.

        Raises:
            RequestRefused: There are as many as may be.
        """
        if self.count >= self.most:
            raise RequestRefused(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_followers",
                f"{self.count} logs are followed already, which is the most; end one of those.",
            )
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


FOLLOWING = web.AppKey("following", Followers)
api = Operations("environments", plain=True, parameters={"id": ID})


class LogQuery(BaseModel):
    """Which part of a log."""

    tail: int = Field(TAIL, ge=0, le=MOST_LINES, description="So many of its last lines")
    follow: Literal["0", "1"] = Field("0", description="Go on until the environment ends")


@api.get(
    "/api/environments/{id}/logs",
    scope=Scope.ADMIN,
    query=LogQuery,
    fails={
        400: "bad_request",
        409: "not_started",
        410: "gone",
        429: "too_many_followers",
        503: "backend_unavailable",
    },
    gives={"text/plain": "the lines as they were printed"},
    has_head=False,
)
async def show_log(request: web.Request) -> web.StreamResponse:
    """Give the last ``tail`` lines; with ``follow=1`` go on until the environment ends."""
    require_scope(request, Scope.ADMIN)
    return await log_of(request, request.match_info["id"])


async def log_of(request: web.Request, environment_id: str) -> web.StreamResponse:
    """Give an environment's log as the query wants it, to who may see it.

    Raises:
        UnknownEnvironment, RequestRefused, BackendUnavailable
    """
    lines = _tail(request)
    environment = await _find(request, environment_id)
    if request.query.get("follow", "0") not in ("", "0", "false"):
        with request.app[FOLLOWING].joined():
            return await _follow(request, environment, lines)
    printed = await request.app[SERVICE].backend.tail(environment.id, lines)
    return web.Response(body=_ended_line(printed).encode(errors="replace"), headers=_HEADERS)


routes = api.routes


def _tail(request: web.Request) -> int:
    text = request.query.get("tail", str(TAIL))
    if not (text.isascii() and text.isdigit()) or len(text) > 6 or int(text) > MOST_LINES:
        raise bad_request(f'"tail" is a number of lines, from 0 to {MOST_LINES}.')
    return int(text)


async def _find(request: web.Request, environment_id: str) -> Environment:
    """Find an environment that has a log.

    Raises:
        UnknownEnvironment: It never was, or it ended, and its log went with it.
        RequestRefused: It has not begun to run.
        BackendUnavailable: Could not ask.
    """
    service = request.app[SERVICE]
    environment = await service.find(environment_id)
    if environment is None or environment.phase is Phase.STOPPED:
        raise UnknownEnvironment(environment_id)
    if await service.backend.inspect(environment.id) is None:
        if environment.phase is Phase.CREATING:
            raise RequestRefused(
                HTTPStatus.CONFLICT, "not_started", "It is being created; ask again in a moment."
            )
        raise UnknownEnvironment(environment_id)
    return environment


async def _follow(request: web.Request, environment: Environment, lines: int) -> web.StreamResponse:
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    following = request.app[SERVICE].backend.follow(environment.id, lines)
    try:
        async with aclosing(following) as printed:
            async for part in printed:
                await response.write(part)
    except ServiceError as error:
        log.warning(
            "A log that was followed broke off",
            extra={"event": "log.broke", "environment": environment.id, "reason": str(error)},
        )
        # Cut without its end, so that nobody takes it for the end of the environment.
        if request.transport is not None:
            request.transport.abort()
    return response


def _ended_line(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
