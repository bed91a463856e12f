"""A service under a path of its own: nothing that it says leads out of it."""

import json
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp
import pytest

from spawner.model import Phase
from tests.command import Served, serving
from tests.components import require
from tests.integration.web.conftest import API_KEY, Open
from tests.waiting import eventually

MOUNT = "/a/lab.1/"
ENVIRONMENT = """
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        base, prefix = os.environ["TMPENV_BASE_PATH"], self.headers.get("X-Forwarded-Prefix", "")
        body = f"{base} {self.path} {prefix}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Set-Cookie", "own=1; Path=" + base)
        self.send_header("Set-Cookie", "wide=1; Path=/")
        self.end_headers()
        self.wfile.write(body)
address = (os.environ["TMPENV_IP"], int(os.environ["TMPENV_PORT"]))
http.server.ThreadingHTTPServer(address, Handler).serve_forever()
"""
CONFIG = f"""
port = 0
backend = "process"
base_url = "{MOUNT}"
api_key = "{API_KEY}"
[tmpnb]
adhoc = true
[templates.demo]
command = [{json.dumps(sys.executable)}, "-c", {json.dumps(ENVIRONMENT)}, "{{base_path}}"]
stop_grace = "100ms"
[templates.never]
command = "sleep 60"
stop_grace = "100ms"
[pools.demo]
size = 3
spare = 1
[pools.never]
size = 1
spare = 0
"""
PAGE = {"Accept": "text/html"}
KEY = {"Authorization": f"token {API_KEY}"}


@pytest.fixture
def directory() -> Iterator[Path]:
    require("redis-server")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as name:
        path = Path(name)
        (path / "tmpenv.toml").write_text(CONFIG)
        yield path


@pytest.fixture
def processes() -> int:
    """How many move bytes; a test may say another number."""
    return 1


@pytest.fixture
def served(directory: Path, processes: int) -> Iterator[Served]:
    workers = ("--proxy-workers", str(processes))
    with serving(directory, "--on-exit", "stop", *workers) as served:
        yield served


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@pytest.fixture
def visitor(served: Served, session: aiohttp.ClientSession) -> "Visitor":
    return Visitor(served.url.removesuffix(MOUNT.rstrip("/")), session)


class _Links(HTMLParser):
    """Gathers the attributes that hold addresses; whatever begins with a slash is taken for one."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            is_address = name in ("href", "src", "action") or (value or "").startswith("/")
            if value and is_address and not value.startswith("#"):
                self.found.add(value)


@dataclass
class Visitor:
    """Goes through a service and notes every address that it is told."""

    origin: str
    session: aiohttp.ClientSession
    told: dict[str, str] = field(default_factory=dict)  # by where

    async def ask(
        self, method: str, path: str, **headers: str
    ) -> tuple[int, dict[str, list[str]], str]:
        async with self.session.request(
            method, self.origin + path, headers=headers, allow_redirects=False
        ) as response:
            body = await response.text()
            found = {name: response.headers.getall(name) for name in response.headers}
            self._note(f"{method} {path}", response.content_type, found, body)
            return response.status, found, body

    async def json(self, method: str, path: str, **headers: str) -> Any:
        status, _, body = await self.ask(method, path, **headers)
        assert status == 200, body
        return json.loads(body)

    def _note(self, where: str, kind: str, headers: dict[str, list[str]], body: str) -> None:
        for name in ("Location", "Content-Location", "Link", "Refresh"):
            for value in headers.get(name, ()):
                self.told[f"{where}: {name}"] = value
        for cookie in headers.get("Set-Cookie", ()):
            found = re.search(r"; *path=([^;]*)", cookie, re.IGNORECASE)
            self.told[f"{where}: cookie {cookie.split('=')[0]}"] = found[1] if found else "none"
        if kind == "text/html":
            links = _Links()
            links.feed(body)
            self.told |= {f"{where}: {one}": urljoin(where.split(" ")[1], one)
                          for one in links.found}  # fmt: skip
        elif kind == "application/json":
            self.told |= {f"{where}: {one}": one for one in _strings(json.loads(body))
                          if re.match(r"/|\w+://", one)}  # fmt: skip
        elif kind in ("text/css", "text/javascript", "application/javascript"):
            self.told |= {f"{where}: {one}": one for one in re.findall(r"""["'`(](/\w[^"'`)]*)""",
                                                                      body)}  # fmt: skip

    def strays(self) -> dict[str, str]:
        """Give what leads out of the service."""
        return {
            where: url
            for where, url in self.told.items()
            if not urlsplit(url).path.startswith(MOUNT)
            or urlsplit(url).netloc not in ("", urlsplit(self.origin).netloc)
        }


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)


async def handed_out(visitor: Visitor) -> dict[str, str]:
    async def launched() -> dict[str, str] | None:
        status, _, body = await visitor.ask("POST", f"{MOUNT}api/spawn")
        found: dict[str, str] = json.loads(body)
        return found if status == 200 else None

    found = await eventually(launched)
    assert found
    return found


async def test_1_12_no_page_and_no_answer_leads_out(visitor: Visitor) -> None:
    launched = await handed_out(visitor)
    one = launched["id"]
    for path in ("", "info", "info/", "nothing", "healthz", "readyz", "api/stats", "stats",
                 "launch/demo", "launch/none", "launch/never?urlpath=x", "wait/none?template=demo",
                 "spawn", "spawn/notebooks/a.ipynb?x", "tree/a%20b?x=1", "lab", "robots.txt",
                 f"spawn/user/{one}/lab", f"api/environments/{one}", f"user/{one}/x"):  # fmt: skip
        for accept in ("text/html", "application/json"):
            await visitor.ask("GET", MOUNT + path, Accept=accept)
    for path in ("api/status", "api/environments"):
        await visitor.json("GET", MOUNT + path, **KEY)
    await visitor.ask("DELETE", f"{MOUNT}api/environments/{one}")

    async def is_over() -> bool:
        return (await visitor.ask("GET", f"{MOUNT}user/{one}/lab/x", **PAGE))[0] == 410

    await eventually(is_over)
    # What was told is asked in turn: files, waiting pages, deep links.
    told = {url for where, url in visitor.told.items() if "cookie" not in where}
    for url in told:
        if "://" not in url and "user/" not in url:
            await visitor.ask("GET", url, **PAGE)

    assert visitor.strays() == {}
    kinds = "Location", "cookie tmpenv-demo", "/wait/", "/events", "ws://", ".css", ".js", "new=1"
    for kind in kinds:
        assert any(kind in where or kind in url for where, url in visitor.told.items()), kind


async def test_1_12_the_waiting_page_and_its_events_are_below_it(visitor: Visitor) -> None:
    _, headers, _ = await visitor.ask("GET", f"{MOUNT}launch/never", **PAGE)
    (location,) = headers["Location"]
    assert location.startswith(f"{MOUNT}wait/")

    status, _, page = await visitor.ask("GET", location, **PAGE)
    events = re.search(r'data-events="([^"]+)"', page)
    assert status == 200
    assert events

    async with visitor.session.get(visitor.origin + events[1]) as stream:
        assert stream.content_type == "text/event-stream"
        await stream.content.readuntil(b'"place": 1')
    assert visitor.strays() == {}


@pytest.mark.parametrize("processes", [1, 2])
async def test_1_12_an_environment_answers_under_its_whole_path(visitor: Visitor) -> None:
    launched = await handed_out(visitor)
    url = f"{MOUNT}user/{launched['id']}/"
    authority = visitor.origin.removeprefix("http://")

    status, headers, body = await visitor.ask("GET", f"{launched['url']}x?y=1")

    assert launched["url"] == url
    assert launched["base_url"] == f"http://{authority}{url}"
    assert launched["ws_url"] == f"ws://{authority}{url}"
    assert (status, body) == (200, f"{url} {url}x?y=1 {url.rstrip('/')}")
    assert headers["Set-Cookie"] == [f"own=1; Path={url}"]
    assert (await visitor.ask("GET", url.removeprefix(MOUNT.rstrip("/"))))[0] == 404


async def test_1_12_outside_the_mount_there_is_only_the_way_in(visitor: Visitor) -> None:
    for path, location in (
        ("/", MOUNT),
        (MOUNT.rstrip("/"), MOUNT),
        ("/?from=x", f"{MOUNT}?from=x"),
    ):
        status, headers, _ = await visitor.ask("GET", path, **PAGE)
        assert (status, headers["Location"]) == (302, [location])
    for path in ("/a", "/a/", "/info", "/launch/demo", "/api/stats", "/A/LAB.1/", "/a/labx1/",
                 "/a/lab.12/", "/static/tmpenv.css", "/a/lab%2E1x/"):  # fmt: skip
        assert (await visitor.ask("GET", path, **PAGE))[0] == 404, path
    assert (await visitor.ask("POST", "/api/spawn"))[0] == 404
    assert (await visitor.ask("GET", f"{MOUNT}../api/stats"))[0] in (400, 404)
    assert (await visitor.ask("GET", "/healthz"))[0] == 200
    assert (await visitor.ask("GET", "/readyz"))[0] in (200, 503)
    _, _, robots = await visitor.ask("GET", "/robots.txt")
    assert f"Disallow: {MOUNT}launch\n" in robots
    assert visitor.strays() == {}


async def test_old_thebes_double_slash_is_understood_below_it(visitor: Visitor) -> None:
    assert (await visitor.ask("GET", f"{MOUNT}/api/stats/"))[0] == 200
    assert (await visitor.ask("GET", f"/{MOUNT}/api/stats/"))[0] == 200


async def test_the_command_line_finds_it(directory: Path, served: Served) -> None:
    assert served.url.endswith(MOUNT.rstrip("/"))
    assert f"({MOUNT}launch/demo)" in served.banner
    assert served.tmpenv("status", "--api-key", API_KEY).returncode == 0


async def test_a_visitor_of_another_mount_is_given_a_new_one(
    directory: Path, visitor: Visitor, served: Served
) -> None:
    launched = await handed_out(visitor)
    cookie = {"Cookie": f"tmpenv-demo={launched['id']}", **PAGE}
    _, headers, _ = await visitor.ask("GET", f"{MOUNT}launch/demo?urlpath=", **cookie)
    assert headers["Location"] == [launched["url"]]
    assert served.end(signal.SIGINT) == 0

    with serving(directory, "--on-exit", "stop", "--base-url", "/b/") as moved:
        visitor.origin = moved.url.removesuffix("/b")
        way = "/b/launch/demo?urlpath="

        async def is_led_to_another() -> bool:
            nonlocal way
            _, headers, _ = await visitor.ask("GET", way, **cookie)
            (way,) = headers.get("Location", [way])
            return way.startswith("/b/user/")

        await eventually(is_led_to_another)
        assert (await visitor.ask("GET", f"/b/user/{launched['id']}/"))[0] == 410
        assert (await visitor.ask("GET", launched["url"]))[0] == 404


@pytest.fixture
def hosted(directory: Path, session: aiohttp.ClientSession) -> Iterator[Visitor]:
    """A visitor of a service whose environments have hosts of their own."""
    with serving(directory, "--on-exit", "stop", "--environments-domain", "envs.example") as served:
        yield Visitor(served.url.removesuffix(MOUNT.rstrip("/")), session)


async def led_in(visitor: Visitor) -> SplitResult:
    """Follow a launch link to the end, and give where that is."""
    way = f"{MOUNT}launch/demo?urlpath=x"

    async def is_led_in() -> bool:
        nonlocal way
        _, headers, _ = await visitor.ask("GET", way, **PAGE)
        (way,) = headers.get("Location", [way])
        return ".envs.example" in way

    await eventually(is_led_in)
    return urlsplit(way)


async def test_an_environments_own_host_is_its_alone_under_a_mount_too(hosted: Visitor) -> None:
    own = await led_in(hosted)
    one = own.netloc.partition(".")[0]
    url, there = f"{MOUNT}user/{one}/", {"Host": own.netloc}

    assert own.netloc == f"{one}.envs.example:{urlsplit(hosted.origin).port}"
    assert own.path == f"{url}x"
    for path in (f"{url}x", f"{MOUNT}user/another/x", MOUNT, "/launch/demo"):
        _, _, body = await hosted.ask("GET", path, **there, **PAGE)
        assert body == f"{url} {path} {url.rstrip('/')}"
    status, headers, _ = await hosted.ask("GET", "/", **there)
    assert (status, headers["Location"]) == (302, [url])
    status, headers, _ = await hosted.ask("GET", f"{url}x?y=1", **PAGE)
    assert (status, headers["Location"]) == (307, [f"//{own.netloc}{url}x?y=1"])


async def test_the_page_of_one_that_ended_leads_back_to_the_mounted_service(
    hosted: Visitor,
) -> None:
    own = await led_in(hosted)
    one = own.netloc.partition(".")[0]
    service = f"http://envs.example:{urlsplit(hosted.origin).port}{MOUNT}"
    page = ""

    async def is_over() -> bool:
        nonlocal page
        status, _, page = await hosted.ask("GET", own.path, Host=own.netloc, **PAGE)
        return status == 410

    await hosted.ask("DELETE", f"{MOUNT}api/environments/{one}")
    await eventually(is_over)

    links = _Links()
    links.feed(page)
    assert f"{service}launch/demo?new=1" in links.found
    assert all(link.startswith(service) for link in links.found)


async def test_a_mounted_application_keeps_its_errors_apart(open_site: Open) -> None:
    async with open_site(base_url=MOUNT) as site:
        await site.has_spares(1)

        api = await site.visit(f"{MOUNT}api/nothing")
        page = await site.visit(f"{MOUNT}nothing")

        assert (api.status, api.content_type) == (404, "application/json")
        assert (page.status, page.content_type) == (404, "text/html")
        (spare,) = await site.service.environments()
        assert spare.phase is Phase.READY
        assert spare.base_path == f"{MOUNT}user/{spare.id}/"
