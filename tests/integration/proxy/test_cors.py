"""Origins are answered by the edge, on every status."""

import pytest

from proxy.routes import Standing
from tests.integration.proxy.kit import Stage, get, header, status

ORIGIN = "Origin: https://page.example"


@pytest.fixture
async def open_stage(bare_stage: Stage) -> Stage:
    return await bare_stage.start(cors_origins=["https://page.example"])


async def test_an_answer_has_exactly_one_allowed_origin(open_stage: Stage) -> None:
    environment = await open_stage.environment("abc")
    environment.answer_all(
        b"HTTP/1.1 403 Forbidden\r\nAccess-Control-Allow-Origin: *\r\n"
        b"Access-Control-Allow-Credentials: true\r\nContent-Length: 0\r\n\r\n"
    )

    head, _ = await open_stage.ask(get("/user/abc/", ORIGIN))

    assert header(head, b"access-control-allow-origin") == [b"https://page.example"]
    assert header(head, b"access-control-allow-credentials") == []
    assert header(head, b"vary") == [b"Origin"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/user/gone/", 410), ("/user/start/", 503), ("/user/__x/", 404), ("/user/abc/..", 400)],
)
async def test_errors_of_the_edge_can_be_read_by_pages(
    open_stage: Stage, path: str, expected: int
) -> None:
    open_stage.put("gone", Standing.GONE)
    open_stage.put("start", Standing.STARTING)
    open_stage.resolver.routes["start"] = open_stage.routes.get("start")  # type: ignore[assignment]

    head, _ = await open_stage.ask(get(path, ORIGIN))

    assert status(head) == expected
    assert header(head, b"access-control-allow-origin") == [b"https://page.example"]


async def test_an_origin_outside_the_list_gets_none(open_stage: Stage) -> None:
    environment = await open_stage.environment("abc")
    environment.answer_all(
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n"
    )

    head, _ = await open_stage.ask(get("/user/abc/", "Origin: https://evil.example"))

    assert header(head, b"access-control-allow-origin") == []


@pytest.mark.parametrize("path", ["/user/abc/api/kernels", "/user/unknown/", "/api/spawn"])
async def test_a_preflight_is_answered_without_asking_anyone(open_stage: Stage, path: str) -> None:
    environment = await open_stage.environment("abc")
    visitor = await open_stage.visit()

    for _ in range(2):
        await visitor.send(
            get(
                path,
                ORIGIN,
                "Access-Control-Request-Method: PUT",
                "Access-Control-Request-Headers: authorization,x-custom",
                method="OPTIONS",
            )
        )
        head = await visitor.head()
        assert status(head) == 204
        assert header(head, b"access-control-allow-origin") == [b"https://page.example"]
        assert b"x-custom" in header(head, b"access-control-allow-headers")[0]

    assert (environment.accepted, open_stage.application.accepted) == (0, 0)
    assert open_stage.resolver.asked == []


async def test_options_that_are_no_preflight_are_forwarded(open_stage: Stage) -> None:
    environment = await open_stage.environment("abc")
    environment.answer_all()

    head, _ = await open_stage.ask(get("/user/abc/", ORIGIN, method="OPTIONS"))

    assert status(head) == 200


async def test_an_upgrade_is_answered_for_its_origin_too(open_stage: Stage) -> None:
    environment = await open_stage.environment("abc")
    environment.answer_all(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    )

    visitor = await open_stage.visit()
    await visitor.send(get("/user/abc/", ORIGIN, "Connection: Upgrade", "Upgrade: websocket"))

    head = await visitor.head()
    assert header(head, b"access-control-allow-origin") == [b"https://page.example"]


async def test_without_a_list_no_origin_is_answered(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n"
    )

    head, _ = await stage.ask(get("/user/abc/", ORIGIN))

    assert header(head, b"access-control-allow-origin") == []
    assert header(head, b"vary") == []
