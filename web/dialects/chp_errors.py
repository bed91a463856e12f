"""What visitors read when a route leads nowhere, as configurable-http-proxy has it.

With ``--error-target`` another server is asked for ``<target>/<code>?url=…``;
with ``--error-path`` there are files ``<code>.html`` and ``error.html``. Such
pages are made for two codes, so the edge's finer ones are 503 here.
"""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from html import escape
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import aiohttp
from yarl import URL

from proxy.errors import Answer, EdgeError, Page
from proxy.locations import Location
from proxy.request import Request

log = logging.getLogger(__name__)

TIMEOUT_S = 5.0
MAX_PAGE = 1024 * 1024  # bytes
_UNREACHABLE = frozenset({"refused", "bad_gateway", "connect_timeout", "response_timeout"})
_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
    "<style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;"
    "padding:0 1rem}}</style><h1>{title}</h1><p>{text}</p></html>\n"
)


def plain_page(error: EdgeError, _request: Request) -> Page:
    """Return the page for who asked with a browser where there are no other pages."""
    title = f"{error.status} {HTTPStatus(error.status).phrase}"
    return Page(_PAGE.format(title=escape(title), text=escape(error.message)).encode())


class ErrorPages:
    """Gives the pages of an error target or of a directory."""

    def __init__(
        self, *, path: Path | None, target: Location | None, session: aiohttp.ClientSession
    ) -> None:
        self._path = path
        self._target = target
        self._session = session

    def explain(self, error: EdgeError, request: Request) -> Awaitable[Answer] | None:
        """Return the page to come for ``error``, None if it is not about where a route leads."""
        status = error.status if error.code == "no_route" else HTTPStatus.SERVICE_UNAVAILABLE
        if error.code != "no_route" and error.code not in _UNREACHABLE:
            return None
        return self._answer(status, request)

    async def _answer(self, status: int, request: Request) -> Answer:
        answer = None
        if not request.is_upgrade:  # whose client shows no page
            with suppress(OSError, TimeoutError, aiohttp.ClientError, ValueError):
                if self._target is not None:
                    answer = await self._ask(self._target, status, request.target)
                elif self._path is not None:
                    answer = await asyncio.to_thread(_read, self._path, status)
            if answer is None:
                log.warning("There is no page for an error", extra={"event": "chp.no_page"})
        return answer or Answer(status, HTTPStatus(status).phrase.encode(), b"text/plain")

    async def _ask(self, location: Location, status: int, url: bytes) -> Answer | None:
        path = location.target_for(b"/%d" % status, b"?url=" + quote(url, safe="").encode())
        scheme = "https" if location.is_tls else "http"
        host = f"[{location.host}]" if ":" in location.host else location.host or "localhost"
        address = URL(f"{scheme}://{host}:{location.port or 80}{path.decode()}", encoded=True)
        async with self._session.get(
            address, allow_redirects=False, timeout=aiohttp.ClientTimeout(TIMEOUT_S)
        ) as response:
            body = await response.content.read(MAX_PAGE)
            while chunk := await response.content.read(MAX_PAGE):
                body += chunk
                if len(body) > MAX_PAGE:
                    return None
            kind = response.headers.get("Content-Type", "text/html")
            encoding = response.headers.get("Content-Encoding", "")
            return Answer(status, body, kind.encode("latin-1"), encoding.encode("latin-1"))


def error_session(target: Location | None, *, insecure: bool) -> aiohttp.ClientSession:
    """Return what the error target is asked with."""
    connector: aiohttp.BaseConnector
    if target is not None and target.path:
        connector = aiohttp.UnixConnector(target.path)
    else:
        connector = aiohttp.TCPConnector(ssl=not insecure)
    return aiohttp.ClientSession(
        connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
    )


def _read(directory: Path, status: int) -> Answer | None:
    for name in (f"{status}.html", "error.html"):
        with suppress(FileNotFoundError):
            return Answer(status, (directory / name).read_bytes(), b"text/html")
    return None
