"""Images go to a real registry and come from there, with a password and without."""

import asyncio
import base64
import json
import logging
import secrets
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from spawner.backends.docker import DockerBackend
from spawner.backends.docker_settings import DockerSettings
from spawner.builder.logins import login_of
from spawner.builder.model import Plan
from spawner.builder.registry import Registry as RegistryAsked
from spawner.builder.settings import BuildSettings
from spawner.errors import BackendUnavailable, BuildFailed, ImageUnavailable
from spawner.model import Template
from tests.building import Site, building
from tests.components import require
from tests.registry import PASSWORD, USER, Registry

LOGIN = {"registry_username": USER, "registry_password": PASSWORD}


@pytest.fixture(autouse=True)
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's configuration, which is nobody's but the test's."""
    directory = tmp_path / "docker"
    directory.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(directory))
    return directory / "config.json"


def _registry(*, has_password: bool) -> Iterator[Registry]:
    require("buildkit", "tiny-image", "docker-registry")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as directory:
        registry = Registry(Path(directory), has_password=has_password)
        registry.start()
        yield registry
        registry.stop()


@pytest.fixture
def registry() -> Iterator[Registry]:
    yield from _registry(has_password=False)


@pytest.fixture
def private() -> Iterator[Registry]:
    yield from _registry(has_password=True)


def at(registry: Registry, directory: Path, **more: Any) -> AbstractAsyncContextManager[Site]:
    return building(directory, registry=registry.name("team"), registry_insecure=True, **more)


@pytest.fixture
async def site(registry: Registry, tmp_path: Path) -> AsyncIterator[Site]:
    async with at(registry, tmp_path) as site:
        yield site


def small(site: Site) -> Plan:
    """Plan an image that no other test has, and that takes no time to push."""
    return site.plan(f"LABEL mark={secrets.token_hex(8)}", "COPY Dockerfile /x", base="scratch")


async def test_what_is_pushed_is_there_and_what_is_only_here_is_not(
    registry: Registry, site: Site
) -> None:
    image = await site.build(small(site))
    assert image.startswith(registry.name("team/tiny:"))
    assert not await site.engine.exists(image)
    site.told.lines.clear()

    await site.engine.push(image, site.told.tell)

    assert await site.engine.exists(image)
    assert site.told.lines[-1] == "pushing: 100 %"
    assert len(site.told.lines) <= 11
    await site.engine.remove(image)
    assert await site.engine.exists(image)


async def test_a_registry_that_is_away_is_never_one_without_the_image(
    registry: Registry, site: Site
) -> None:
    image = await site.build(small(site))
    registry.stop()

    with pytest.raises(BackendUnavailable):
        await site.engine.exists(image)
    with pytest.raises(BackendUnavailable, match="gave no answer"):
        await site.engine.push(image, print)

    registry.start()
    assert not await site.engine.exists(image)
    await site.engine.push(image, print)
    assert await site.engine.exists(image)


async def test_a_registry_that_breaks_off_in_mid_push_fails_the_push(
    registry: Registry, site: Site
) -> None:
    image = await site.build(small(site))
    registry.hold()
    pushing = asyncio.create_task(site.engine.push(image, print))
    await asyncio.wait([pushing], timeout=0.5)
    assert not pushing.done()

    registry.stop()

    with pytest.raises(BackendUnavailable):
        await pushing
    registry.start()
    assert not await site.engine.exists(image)


async def test_a_push_that_is_cancelled_holds_up_nobody(registry: Registry, site: Site) -> None:
    image = await site.build(small(site))
    registry.hold()
    pushing = asyncio.create_task(site.engine.push(image, print))
    await asyncio.wait([pushing], timeout=0.5)

    pushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pushing

    registry.go_on()
    await site.engine.push(image, print)
    assert await site.engine.exists(image)


async def test_what_is_not_here_cannot_be_pushed(site: Site) -> None:
    with pytest.raises(BuildFailed, match="The registry refused"):
        await site.engine.push(site.new_image(), print)


async def test_with_a_password_it_is_pushed_asked_and_pulled_and_nobody_reads_it(
    private: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with at(private, tmp_path, **LOGIN) as site:
        image = await site.build(small(site))
        assert not await site.engine.exists(image)
        await site.engine.push(image, site.told.tell)
        assert await site.engine.exists(image)
        await site.engine.remove(image)

        await pull(image, login=site)

        assert site.has(image)
        await site.engine.remove(image)
        with pytest.raises(ImageUnavailable, match="no basic auth credentials"):
            await pull(image, login=None)
        for written in (caplog.text, site.told.text, repr(login_of(site.settings))):
            assert PASSWORD not in written


async def pull(image: str, *, login: Site | None) -> None:
    """Have a backend pull an image, with the login that a site has."""
    known = login_of(login.settings) if login else None
    backend = DockerBackend("test-engine", DockerSettings(), login=known)
    try:
        await backend.prepare(Template(name="t", image=image), print)
    finally:
        await backend.close()


async def test_a_build_starts_from_an_image_that_only_those_logged_in_may_pull(
    private: Registry, tmp_path: Path, docker_config: Path
) -> None:
    docker_config.write_text(json.dumps({"credsStore": "of-nobody", "auths": {}}))
    async with at(private, tmp_path, **LOGIN) as site:
        base = await site.build(small(site))
        await site.engine.push(base, print)
        await site.engine.remove(base)
        plan = site.plan(f"LABEL mark={secrets.token_hex(8)}", base=base)

        assert site.has(await site.build(plan))

        assert json.loads(docker_config.read_text()) == {"credsStore": "of-nobody", "auths": {}}


@pytest.mark.parametrize(
    "login", [{}, {**LOGIN, "registry_password": "wrong"}], ids=["nobody", "wrong"]
)
async def test_whoever_is_not_let_in_is_told_what_to_set(
    private: Registry, tmp_path: Path, login: dict[str, str]
) -> None:
    async with at(private, tmp_path, **login) as site:
        image = await site.build(small(site))

        with pytest.raises(BuildFailed, match="set registry_username and registry_password"):
            await site.engine.exists(image)
        with pytest.raises(BuildFailed, match="The registry refused"):
            await site.engine.push(image, print)


def kept(registry: Registry) -> dict[str, Any]:
    words = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return {"auths": {registry.name("").rstrip("/"): {"auth": words}}}


async def test_without_a_password_in_the_settings_docker_s_own_is_taken(
    private: Registry, tmp_path: Path, docker_config: Path
) -> None:
    docker_config.write_text(json.dumps(kept(private)))
    async with at(private, tmp_path) as site:
        image = await site.build(small(site))

        await site.engine.push(image, print)

        assert await site.engine.exists(image)


async def test_the_helper_that_docker_asks_is_asked(
    private: Registry, tmp_path: Path, docker_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = private.name("").rstrip("/")
    helper = tmp_path / "docker-credential-of-a-test"
    answer = json.dumps({"ServerURL": host, "Username": USER, "Secret": PASSWORD})
    helper.write_text(f'#!/bin/sh\nread host; [ "$1 $host" = "get {host}" ] && echo \'{answer}\'\n')
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    docker_config.write_text(json.dumps({"credHelpers": {host: "of-a-test"}}))
    async with at(private, tmp_path) as site:
        image = await site.build(small(site))

        await site.engine.push(image, print)

        assert await site.engine.exists(image)


@asynccontextmanager
async def asking(settings: BuildSettings) -> AsyncIterator[RegistryAsked]:
    registry = RegistryAsked(settings)
    try:
        yield registry
    finally:
        await registry.close()


@pytest.mark.parametrize("login", [{}, LOGIN], ids=["nobody", "a user"])
async def test_a_token_is_fetched_from_where_the_registry_says(login: dict[str, str]) -> None:
    asked: list[dict[str, str]] = []

    async def manifest(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") == "Bearer of-a-test":
            return web.Response(status=200 if request.match_info["tag"] == "1" else 404)
        realm = f'Bearer realm="{server.make_url("/token")}",service="s",scope="repository:x:pull"'
        return web.Response(status=401, headers={"WWW-Authenticate": realm})

    async def token(request: web.Request) -> web.Response:
        asked.append({**request.query, "as": request.headers.get("Authorization", "")})
        return web.json_response({"token": "of-a-test"})

    application = web.Application()
    application.router.add_get("/v2/team/tiny/manifests/{tag}", manifest)
    application.router.add_get("/token", token)
    async with TestServer(application) as server:
        host = f"127.0.0.1:{server.port}"
        settings = BuildSettings(registry=f"{host}/team", registry_insecure=True, **login)
        async with asking(settings) as registry:
            found = [await registry.has(f"{host}/team/tiny:{tag}") for tag in (1, 2)]
    assert found == [True, False]
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    whom = f"Basic {basic}" if login else ""
    assert asked == 2 * [{"service": "s", "scope": "repository:x:pull", "as": whom}]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_answer_that_is_none_means_that_nothing_is_known(status: int) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status)

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    async with TestServer(application) as server:
        host = f"127.0.0.1:{server.port}"
        async with asking(BuildSettings(registry=host, registry_insecure=True)) as registry:
            with pytest.raises(BackendUnavailable, match=str(status)):
                await registry.has(f"{host}/tiny:1")
