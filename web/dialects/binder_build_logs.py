"""A build's log as text, as lines of JSON, or as events that a browser goes on with.

The log ends when the build does. Whoever follows is counted, since each holds a
connection; an event has the id after which a reader goes on that was cut off
(``Last-Event-ID``). Nothing of a log is ever markup: it is what programs printed.
"""

import json
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from typing import Annotated, Literal

from aiohttp import web
from pydantic import Field, StringConstraints

from spawner.builder.model import Build, LogEntry
from spawner.errors import ServiceError
from web.api.logs import Followers
from web.builds import builds_of
from web.dialects.binder_builds import NAME, TYPES, UNKNOWN, find, view
from web.heartbeats import with_heartbeats
from web.operations import Operations, Wire, malformed
from web.scopes import Scope
from web.views import timestamp

log = logging.getLogger(__name__)

#: The most that may follow builds at once, in one process.
FOLLOWERS = 64
#: Shorter than the time after which proxies drop a connection on which nothing moves.
HEARTBEAT_S = 15.0
MOST_ENTRIES = 100_000
FOLLOWING = web.AppKey("following builds", Followers)

Format = Literal["text", "ndjson", "sse"]
_MEDIA: dict[Format, str] = {
    "text": "text/plain",
    "ndjson": "application/x-ndjson",
    "sse": "text/event-stream",
}
# Two numbers that Redis can hold.
_ID = re.compile(r"[0-9]{1,18}-[0-9]{1,18}", re.ASCII)
_HEADERS = {
    "Cache-Control": "no-store",
    # A proxy before this one would otherwise keep lines until it has many.
    "X-Accel-Buffering": "no",
}

api = Operations("builds", types=TYPES, parameters={"name": NAME})


class ReadLog(Wire):
    """Which part of a log, and how."""

    format: Format | None = Field(None, description="What `Accept` says where absent; else text")
    follow: bool | None = Field(
        None, description="Go on until the build ends; so do events unless it is false"
    )
    after: Annotated[str, StringConstraints(pattern=rf"^({_ID.pattern})?$")] = Field(
        "", description="Begin after the entry with this id; `Last-Event-ID` goes before it"
    )
    limit: int = Field(MOST_ENTRIES, ge=1, le=MOST_ENTRIES, description="Give no more entries")


@api.get(
    "/builds/{name}/logs",
    "/builds/repo/{name}/logs",
    "/builds/repos/{name}/logs",
    scope=Scope.READ,
    fails={**UNKNOWN, 429: "too_many_followers"},
    gives={
        "text/plain": "the lines as they were printed",
        "application/x-ndjson": "objects of `id`, `time`, `phase`, `step`, `steps` and `text`",
        "text/event-stream": "the same as events; the last is `end`, with the build",
    },
    has_head=False,
)
async def show_build_log(request: web.Request, query: ReadLog) -> web.StreamResponse:
    """Give the log of the latest build of an image, or follow it.

    What comes is named by `format`, or by `Accept`: text, lines of JSON or server-sent
    events. Secrets are masked.
    """
    kind = query.format or _accepted(request.headers.get("Accept", ""))
    after = _last_event(request) or query.after
    build = await find(request)
    follow = query.follow if query.follow is not None else kind == "sse"
    joined = request.app[FOLLOWING].joined() if follow else nullcontext()
    with joined:
        entries = builds_of(request).log(build, after=after, follow=follow)
        async with aclosing(_limited(entries, query.limit)) as limited:
            return await _send(request, build, limited, kind)


routes = api.routes


def _accepted(accept: str) -> Format:
    for kind in ("sse", "ndjson"):
        if _MEDIA[kind] in accept.lower():
            return kind
    return "text"


def _last_event(request: web.Request) -> str:
    given = request.headers.get("Last-Event-ID", "")
    if given and not _ID.fullmatch(given):
        raise malformed("Last-Event-ID: must be the id of an entry of this log")
    return given


async def _limited(entries: AsyncGenerator[LogEntry], most: int) -> AsyncGenerator[LogEntry]:
    async with aclosing(entries):
        count = 0
        async for entry in entries:
            yield entry
            count += 1
            if count == most:
                return


async def _send(
    request: web.Request, build: Build, entries: AsyncGenerator[LogEntry], kind: Format
) -> web.StreamResponse:
    content_type = f"{_MEDIA[kind]}; charset=utf-8"
    response = web.StreamResponse(headers={**_HEADERS, "Content-Type": content_type})
    try:
        # The first is waited for no longer than the rest, so a failure may still be told.
        async with aclosing(with_heartbeats(entries, HEARTBEAT_S)) as beaten:
            await response.prepare(request)
            async for entry in beaten:
                if written := _written(entry, kind):
                    await response.write(written)
        if kind == "sse":
            await response.write(await _end(request, build))
    except ServiceError as error:
        log.warning(
            "A build's log that was followed broke off",
            extra={"event": "build.log_broke", "build": build.id, "reason": str(error)},
        )
        # Cut without its end, so that nobody takes it for the end of the build.
        if request.transport is not None:
            request.transport.abort()
    return response


def _written(entry: LogEntry | None, kind: Format) -> bytes:
    """Write an entry; None is the sign that we still live, which only events have."""
    if entry is None:
        return b": still here\n\n" if kind == "sse" else b""
    if kind == "text":
        return f"{entry.text}\n".encode(errors="replace")
    facts = {
        "id": entry.id,
        "time": timestamp(entry.at),
        "phase": entry.stage,
        "step": entry.step,
        "steps": entry.steps,
        "text": entry.text,
    }
    told = json.dumps(facts)
    if kind == "ndjson":
        return f"{told}\n".encode()
    return f"id: {entry.id}\ndata: {told}\n\n".encode()


async def _end(request: web.Request, build: Build) -> bytes:
    """Say what came of the build that was followed; another may be the latest by now."""
    latest = await builds_of(request).find(build.name)
    ended = latest if latest is not None and latest.id == build.id else build
    told = view(request, ended).model_dump_json(by_alias=True, exclude_none=True)
    return f"event: end\ndata: {told}\n\n".encode()
