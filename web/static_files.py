"""The few files that pages need, kept in memory and served under a name that never changes meaning.

Each URL carries a digest of the content, so browsers may keep a file for
good and still see a new one at once.
"""

import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

_DIRECTORY = Path(__file__).parent / "static"
_FOREVER = "public, max-age=31536000, immutable"
_BRIEFLY = "public, max-age=300"


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file as it is served."""

    body: bytes
    content_type: str
    digest: str


def _read() -> dict[str, StaticFile]:
    files = {}
    for path in sorted(_DIRECTORY.iterdir()):
        body = path.read_bytes()
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        digest = hashlib.sha256(body).hexdigest()[:12]
        files[path.name] = StaticFile(body, kind, digest)
    return files


_FILES = _read()


def static_url(name: str, *, mount: str = "/") -> str:
    """Give the URL of a file, which changes with its content."""
    return f"{mount}static/{name}?v={_FILES[name].digest}"


async def static(request: web.Request) -> web.Response:
    """Serve a file."""
    return _serve(request.match_info["name"], request.query.get("v", ""))


async def favicon(_request: web.Request) -> web.Response:
    """Serve the icon that browsers ask for without being told."""
    return _serve("favicon.svg", "")


async def badge(_request: web.Request) -> web.Response:
    """Serve the badge that other sites show beside a link to a launch."""
    return _serve("badge.svg", "")


def _serve(name: str, digest: str) -> web.Response:
    found = _FILES.get(name)
    if found is None:
        raise web.HTTPNotFound
    text = found.content_type.startswith("text/") or found.content_type.endswith("javascript")
    return web.Response(
        body=found.body,
        content_type=found.content_type,
        charset="utf-8" if text else None,
        headers={"Cache-Control": _FOREVER if digest == found.digest else _BRIEFLY},
    )


def routes() -> list[web.RouteDef]:
    """List what this module serves."""
    return [
        web.get("/static/{name}", static),
        web.get("/favicon.ico", favicon),
        web.get("/badge.svg", badge),
    ]
