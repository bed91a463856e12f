"""A service that is found under a path of its own, and what environments hear of it."""

import pytest

from proxy.errors import HTML
from tests.integration.proxy.kit import Stage, get, header, status
from tests.integration.proxy.test_activity import moved


@pytest.fixture
async def stage(bare_stage: Stage) -> Stage:
    return await bare_stage.start(mount="/lab1/", trusted_proxies=["127.0.0.0/8"])


async def test_an_environment_answers_under_its_whole_path(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/lab1/user/abc/lab?x"))
    head = await (await environment.accept()).head()

    assert head.startswith(b"GET /lab1/user/abc/lab?x HTTP/1.1\r\n")
    assert header(head, b"x-forwarded-prefix") == [b"/lab1/user/abc"]


async def test_what_a_proxy_before_us_took_off_comes_first(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/lab1/user/abc/", "X-Forwarded-Prefix: /campus/"))
    head = await (await environment.accept()).head()

    assert header(head, b"x-forwarded-prefix") == [b"/campus/lab1/user/abc"]


@pytest.mark.parametrize("path", ["/user/abc/", "/lab1", "/lab1/", "/lab12/user/abc/", "/"])
async def test_everything_else_is_the_applications(stage: Stage, path: str) -> None:
    await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get(path))
    head = await (await stage.application.accept()).head()

    assert head.startswith(f"GET {path} HTTP/1.1\r\n".encode())


async def test_an_environment_is_confined_to_its_whole_path(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
        b"Set-Cookie: own=1; Path=/lab1/user/abc/\r\nSet-Cookie: wide=1; Path=/lab1/\r\n"
        b"Set-Cookie: unmounted=1; Path=/user/abc/\r\n"
        b"Service-Worker-Allowed: /user/abc/\r\n\r\n"
    )

    head, _ = await stage.ask(get("/lab1/user/abc/"))

    assert header(head, b"set-cookie") == [b"own=1; Path=/lab1/user/abc/"]
    assert header(head, b"service-worker-allowed") == []


async def test_a_known_poll_is_known_under_a_mount(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    await stage.ask(get("/lab1/user/abc/api/kernels?1"))

    assert moved(stage)[0] == {"control"}


async def test_the_edge_speaks_of_environments_under_the_mount(stage: Stage) -> None:
    head, _ = await stage.ask(get("/lab1/user/gone/", "Accept: text/html"))

    assert status(head) == 410
    assert header(head, b"content-type") == [HTML]
    assert [error.environment_id for error in stage.pages] == ["gone"]
