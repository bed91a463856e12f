"""Origins are answered by the edge, on every status."""

import pytest

from proxy.routes import Standing
from tests.integration.proxy.kit import Stage, get, header, status

ORIGIN = "Origin: https://page.example"


@pytest.fixture
async def open_stage(bare_stage: Stage) -> Stage:
    return await bare_stage.start(cors_origins=["https://page.example"])


async def test_4_6_an_answer_has_exactly_one_allowed_origin(open_stage: Stage) -> None:
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
async def test_4_1_errors_of_the_edge_can_be_read_by_pages(
    open_stage: Stage, path: str, expected: int
) -> None:
    open_stage.put("gone", Standing.GONE)
    open_stage.put("start", Standing.STARTING)
    open_stage.resolver.routes["start"] = open_stage.routes.get("start")  # type: ignore[assignment]

    head, _ = await open_stage.ask(get(path, ORIGIN))

    assert status(head) == expected
    assert header(head, b"access-control-allow-origin") == [b"https://page.example"]


@pytest.mark.parametrize(
    "answered", ["200 OK", "403 Forbidden", "404 Not Found", "500 Oh", "302 Found"]
)
async def test_4_1_an_environments_answer_can_be_read_on_every_status(
    open_stage: Stage, answered: str
) -> None:
    environment = await open_stage.environment("abc")
    environment.answer_all(f"HTTP/1.1 {answered}\r\nContent-Length: 0\r\n\r\n".encode())

    head, _ = await open_stage.ask(get("/user/abc/", ORIGIN))

    assert status(head) == int(answered[:3])
    assert header(head, b"access-control-allow-origin") == [b"https://page.example"]


async def test_4_1_unusable_and_refused_upstreams_can_be_read_about(open_stage: Stage) -> None:
    environment = await open_stage.environment("abc")
    environment.answer_all(b"garbage\r\n\r\n")

    unusable, _ = await open_stage.ask(get("/user/abc/", ORIGIN))
    await environment.stop()
    refused, _ = await open_stage.ask(get("/user/abc/", ORIGIN))

    for head in (unusable, refused):
        assert status(head) == 502
        assert header(head, b"access-control-allow-origin") == [b"https://page.example"]


async def test_4_5_answers_vary_by_origin(open_stage: Stage) -> None:
    environment = await open_stage.environment("abc")
    environment.answer_all()

    for lines in ((), (ORIGIN,), ("Origin: https://evil.example",)):
        head, _ = await open_stage.ask(get("/user/abc/", *lines))
        assert header(head, b"vary") == [b"Origin"]


async def test_4_8_an_asterisk_allows_all(bare_stage: Stage) -> None:
    stage = await bare_stage.start(cors_origins=["*"])
    environment = await stage.environment("abc")
    environment.answer_all()

    head, _ = await stage.ask(get("/user/abc/", "Origin: https://any.example"))

    assert header(head, b"access-control-allow-origin") == [b"*"]


async def test_4_4_a_preflight_allows_what_jupyters_clients_use(open_stage: Stage) -> None:
    visitor = await open_stage.visit()

    await visitor.send(
        get("/user/abc/", ORIGIN, "Access-Control-Request-Method: PUT", method="OPTIONS")
    )
    head = await visitor.head()

    (methods,) = header(head, b"access-control-allow-methods")
    (headers,) = header(head, b"access-control-allow-headers")
    assert set(methods.split(b", ")) == {b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE"}
    assert set(headers.split(b", ")) >= {
        *(b"authorization", b"content-type", b"x-xsrftoken", b"cache-control"),
    }
    assert int(header(head, b"access-control-max-age")[0]) > 0


async def test_4_7_an_origin_outside_the_list_gets_none(open_stage: Stage) -> None:
    environment = await open_stage.environment("abc")
    environment.answer_all(
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n"
    )

    head, _ = await open_stage.ask(get("/user/abc/", "Origin: https://evil.example"))

    assert header(head, b"access-control-allow-origin") == []


@pytest.mark.parametrize("path", ["/user/abc/api/kernels", "/user/unknown/", "/api/spawn"])
async def test_4_3_a_preflight_is_answered_without_asking_anyone(
    open_stage: Stage, path: str
) -> None:
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


async def test_4_2_an_upgrade_is_answered_for_its_origin(open_stage: Stage) -> None:
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
