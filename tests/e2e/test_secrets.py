"""Nothing that tmpenv writes down or shows holds a secret.

One run is put through everything that goes right and wrong, with secrets planted
wherever one can be. Then all that it wrote and showed is searched for them.
"""

import asyncio
import base64
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import docker
import psutil
import pytest

from spawner.identity import Tokens
from tests.components import TINY, require
from tests.e2e.containers import remove_all
from tests.redis_server import RedisServer
from tests.serving import API_KEY, COMMAND, Serving, free_port
from tests.waiting import eventually

CONFIG = """
backend = "docker"
log_level = "debug"
log_format = "json"
proxy_workers = 2
metrics_port = {metrics_port}
redis_url = "{redis_url}"
secret_key = "planted-secret-key"
[culling]
interval = "200ms"
[proxy]
cors_origins = "*"
[templates.open]
image = "{image}"
env = {{ COURSE_PASSWORD = "planted-course-password" }}
command = "echo http://x/lab?token=$TMPENV_TOKEN $COURSE_PASSWORD; exec perl /server.pl"
[templates.link]
image = "{image}"
auth = "url"
[templates.browser]
image = "{image}"
auth = "cookie"
[templates.brief]
image = "{image}"
idle_timeout = "300ms"
[templates.broken]
image = "{image}"
env = {{ COURSE_PASSWORD = "planted-course-password" }}
command = "echo http://x/lab?token=$TMPENV_TOKEN $COURSE_PASSWORD; exit 3"
[pools.open]
size = 3
spare = 1
[pools.link]
size = 1
[pools.browser]
size = 1
[pools.brief]
size = 1
[pools.broken]
size = 1
"""
SECRET_KEY = "planted-secret-key"
#: What is said to tmpenv and to environments, and must stay between those two.
COOKIE = "planted-cookie"
QUERY = "planted-query"
BEARER = "planted-authorization"
WRONG_KEY = "planted-wrong-key"
BODY = "planted-body"
NAMED = "planted-request-name"
#: What is told of each thing that happens, beside template and backend.
TOLD = {
    "template.prepared": "seconds",
    "environment.ready": "environment seconds",
    "environment.failed": "environment seconds reason tail",
    "environment.handed_out": "environment seconds way request",
    "environment.culled": "environment reason idle_s age_s",
    "environment.died": "environment reason tail",
    "environment.gone": "environment reason seconds",
    "launch.refused": "reason request",
}
HTML = {"Accept": "text/html"}
JSON = {"Content-Type": "application/json"}


class Run:
    """What a run planted, and what it wrote and showed."""

    def __init__(self, serving: Serving, instance: str) -> None:
        self.serving = serving
        self.instance = instance
        self.planted = {
            "the API key": API_KEY,
            "the secret key": SECRET_KEY,
            "the password of Redis": "planted-redis-password",
            "a template's variable": "planted-course-password",
            "a cookie": COOKIE,
            "a query": QUERY,
            "an Authorization header": BEARER,
            "a wrong key": WRONG_KEY,
            "a body": BODY,
        }
        #: By id: the secrets of one environment, which its own container may know.
        self.own: dict[str, dict[str, str]] = {}
        #: By what it was: all that was written down and shown.
        self.shown: dict[str, str] = {}
        #: By id, empty for what is nobody's own: what Docker shows of it.
        self.docker: list[tuple[str, str]] = []

    async def ask(self, name: str, method: str, path: str, **more: Any) -> tuple[int, str]:
        """Ask as a visitor who says everything that a visitor can; keep what comes back."""
        headers = {
            "Cookie": f"session={COOKIE}; tmpenv-x={COOKIE}",
            "Authorization": f"token {BEARER}",
            "X-Request-Id": NAMED,
            **more.pop("headers", {}),
        }
        async with self.serving.session.request(
            method, f"{self.serving.url}{path}", headers=headers, allow_redirects=False, **more
        ) as response:
            text = await response.text()
            told = {
                key: value
                for key, value in response.headers.items()
                # Here a visitor is told what is meant for them.
                if key not in ("Location", "Set-Cookie")
            }
            self.shown[f"{name} ({response.status})"] = json.dumps(told) + text
            return response.status, text

    async def launch(self, template: str) -> str:
        """Launch by the API; note what the visitor alone is told."""

        async def launched() -> dict[str, str] | None:
            status, body = await self.serving.spawn(template)
            return body if status == 200 else None

        body = await eventually(launched, within=60)
        assert body is not None
        self.own[body["id"]] = {f"the token of one of {template}": body["token"]}
        return body["id"]

    async def click(self, template: str) -> str:
        """Launch by a link; note the secrets in where it leads."""
        await self.serving.until_spares(1, template)
        async with self.serving.session.get(
            f"{self.serving.url}/launch/{template}?urlpath=lab%3Fq%3D{QUERY}",
            allow_redirects=False,
        ) as response:
            location, cookie = response.headers["Location"], response.headers["Set-Cookie"]
        environment_id = location.split("/")[2]
        secrets = re.findall(r"[0-9a-f]{32,64}", f"{location} {cookie}")
        assert secrets
        self.own[environment_id] = {
            f"what opens {template} ({n})": s for n, s in enumerate(secrets)
        }
        return environment_id


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """One run for all that is asked of it."""
    require("docker", "tiny-image", "redis-server")
    instance = f"secrets-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        redis = RedisServer(Path(directory), "planted-redis-password")
        redis.start()
        try:
            yield asyncio.run(_run(Path(directory), instance, redis))
        finally:
            redis.stop()
            remove_all(instance)


async def _run(directory: Path, instance: str, redis: RedisServer) -> Run:
    config = CONFIG.format(image=TINY, metrics_port=free_port(), redis_url=redis.url)
    async with Serving(directory, config, instance=instance) as serving:
        run = Run(serving, instance)
        await _everything(run, redis)
        return run


async def _everything(run: Run, redis: RedisServer) -> None:
    """Have happen what can happen."""
    visited = await run.launch("open")
    by_url = await run.click("link")
    by_cookie = await run.click("browser")
    brief = await run.launch("brief")
    query = f"?token={QUERY}&q={QUERY}"
    key = {"Authorization": f"token {API_KEY}"}
    wrong = {"Authorization": f"token {WRONG_KEY}"}

    for name, method, path, more in (
        ("an environment", "GET", f"/user/{visited}/api{query}", {}),
        ("an upload", "POST", f"/user/{visited}/x{query}", {"data": BODY}),
        ("a preflight", "OPTIONS", f"/user/{visited}/x{query}", {"headers": {"Origin": "http://o"}}),
        ("no pass", "GET", f"/user/{by_cookie}/lab{query}", {}),
        ("a token", "GET", f"/user/{by_url}/lab?token={next(iter(run.own[by_url].values()))}", {}),
        ("an unknown one", "GET", f"/user/{'0' * 25}/lab{query}", {}),
        ("a page for one", "GET", f"/user/{'0' * 25}/{query}", {"headers": HTML}),
        ("the front page", "GET", f"/{query}", {"headers": HTML}),
        ("nothing there", "GET", f"/nothing{query}", {"headers": HTML}),
        ("a bad link", "GET", f"/launch/open?urlpath=//evil/{QUERY}", {}),
        ("a bad template", "POST", f"/api/spawn{query}", {"json": {"template": "no"}}),
        ("a bad body", "POST", "/api/spawn", {"data": "{" + BODY, "headers": JSON}),
        ("a full pool", "POST", "/api/spawn", {"json": {"template": "link", "x": BODY}}),
        ("a broken one", "POST", "/api/spawn", {"json": {"template": "broken"}}),
        ("a wrong key", "GET", f"/api/status{query}", {"headers": wrong}),
        ("the status", "GET", f"/api/status{query}", {"headers": key}),
        ("all environments", "GET", f"/api/environments{query}", {"headers": key}),
        ("one environment", "GET", f"/api/environments/{visited}{query}", {}),
        ("too long a header", "GET", "/", {"headers": {"X-Long": QUERY * 9000}}),
        ("a method", "TRACE", f"/{query}", {}),
        ("readiness", "GET", f"/readyz{query}", {}),
    ):  # fmt: skip
        await run.ask(name, method, path, **more)
    await _gone(run, brief)
    await _dead(run, visited)
    run.shown["metrics"] = await _metrics(run)
    run.shown["tmpenv status"] = _command(run, "status", "--json")
    run.shown["tmpenv stop"] = _command(run, "stop", by_url)
    run.docker = [(one, json.dumps(facts)) for one, facts in inspected(run.instance)]
    run.shown["what Docker shows"] = "".join(facts for _, facts in run.docker)
    run.shown["command lines"] = command_lines(run)
    redis.stop()
    await run.ask("no store", "POST", f"/api/spawn{query}", json={"template": "open"})
    await run.ask("no store for a page", "GET", f"/{query}", headers=HTML)
    redis.start()
    await run.serving.stop()
    run.shown["the log"] = run.serving.log.read_text()


async def _gone(run: Run, environment_id: str) -> None:
    """Wait until an environment was culled, and meet its page."""

    async def is_culled() -> bool:
        # Not by a visit, which would be a use.
        _, text = await run.ask("one to cull", "GET", f"/api/environments/{environment_id}")
        return json.loads(text)["reason"] == "idle"

    await eventually(is_culled, within=30)
    path = f"/user/{environment_id}/lab?q={QUERY}"
    status, _ = await run.ask("a culled one", "GET", path, headers=HTML)
    assert status == 410


async def _dead(run: Run, environment_id: str) -> None:
    """Kill an environment behind tmpenv's back, and meet it."""
    client = docker.from_env()
    try:
        client.api.kill(f"tmpenv-{run.instance}-{environment_id}")
    finally:
        client.close()

    async def is_gone() -> bool:
        path = f"/user/{environment_id}/lab?q={QUERY}"
        status, _ = await run.ask("a dead one", "GET", path)
        return status == 410

    await eventually(is_gone, within=30)


async def _metrics(run: Run) -> str:
    port = re.search(r"metrics_port = (\d+)", run.serving.config.read_text())
    assert port
    async with run.serving.session.get(f"http://127.0.0.1:{port[1]}/metrics") as response:
        return await response.text()


def _command(run: Run, *arguments: str) -> str:
    done = subprocess.run(
        [COMMAND, *arguments, "--server", run.serving.url],
        env={**os.environ, "TMPENV_API_KEY": API_KEY},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return done.stdout + done.stderr


def inspected(instance: str) -> Iterator[tuple[str, Any]]:
    """Give what Docker shows of an instance: each thing with the id of its environment."""
    client = docker.from_env()
    try:
        label = {"label": f"tmpenv.instance={instance}"}
        for one in client.api.containers(all=True, filters=label):
            yield one["Labels"]["tmpenv.id"], client.api.inspect_container(one["Id"])
        for one in client.api.networks(filters=label):
            yield "", client.api.inspect_network(one["Id"])
    finally:
        client.close()


def command_lines(run: Run) -> str:
    """Give what everybody on the machine can read of tmpenv's processes."""
    process = psutil.Process(run.serving.pid)
    return "\n".join(
        " ".join(one.cmdline()) for one in (process, *process.children(recursive=True))
    )


def forms(secret: str) -> set[str]:
    """Give the ways in which a secret can be written."""
    return {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")}


def found(secrets: Mapping[str, str], text: str) -> set[str]:
    """Name the secrets that stand in a text."""
    return {name for name, one in secrets.items() if any(form in text for form in forms(one))}


def test_no_secret_is_written_down_or_shown_to_anybody_else(run: Run) -> None:
    own = {name: secret for some in run.own.values() for name, secret in some.items()}
    failed = re.findall(r'"environment.failed", "environment": "(\w+)"', run.shown["the log"])
    unseen = {f"the token of {one}": Tokens(SECRET_KEY).token(one) for one in failed}
    secrets = run.planted | own | unseen

    seen = {place: found(secrets, text) for place, text in run.shown.items()}

    # Whoever may ask Docker sees what each environment is given, and nothing of tmpenv's own.
    shown_by_docker = seen.pop("what Docker shows") - own.keys() - {"a template's variable"}
    assert not shown_by_docker
    assert not {place: names for place, names in seen.items() if names}
    # Both told their secrets to their own logs, of which we show the end.
    assert failed
    assert run.shown["the log"].count("token=*** ***") >= 2
    # The search would have found them: what is no secret stands where it should.
    assert "planted-course-password" in run.shown["what Docker shows"]
    assert run.instance in run.shown["the log"]
    assert all(environment_id in run.shown["the log"] for environment_id in run.own)


def test_no_environment_is_given_anothers_secrets(run: Run) -> None:
    tokens = {one: some for one, some in run.own.items() if some}
    assert len(tokens) >= 2
    for environment_id, facts in run.docker:
        others = {
            name: secret
            for other, some in tokens.items()
            if other != environment_id
            for name, secret in some.items()
        }
        assert not found(others, facts)


def test_everything_that_was_logged_is_json_with_an_event(run: Run) -> None:
    lines = [line for line in run.shown["the log"].splitlines() if line.startswith("{")]

    read = [json.loads(line) for line in lines]

    assert {line["instance"] for line in read} == {run.instance}
    assert not [line for line in read if "traceback" in line]
    for event, facts in TOLD.items():
        told = [line for line in read if line.get("event") == event]
        assert told, event
        for line in told:
            assert line.keys() >= {"backend", "template", *facts.split()}, line
