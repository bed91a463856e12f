"""The path that is routed is the path that is forwarded."""

import pytest

from tests.integration.proxy.kit import OK, Stage, get, status


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("/user/abc", "/user/abc"),
        ("/user/abc/a%2Fb%20c+d;e~[f]?", "/user/abc/a%2Fb%20c+d;e~[f]?"),
        ("//user/abc//api/kernels", "/user/abc/api/kernels"),
        ("/user/abc//x", "/user/abc//x"),
        ("http://elsewhere.example:1/user/abc/x", "/user/abc/x"),
    ],
)
async def test_bytes_are_forwarded_as_they_came(stage: Stage, sent: str, forwarded: str) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get(sent))
    head = await (await environment.accept()).head()

    assert head.startswith(f"GET {forwarded} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /user/abc/../def/ HTTP/1.1", 400),
        ("GET /user/abc/%2e%2e/def/ HTTP/1.1", 400),
        ("GET /user/abc/%zz HTTP/1.1", 400),
        ("GET /user/abc/\u00e9 HTTP/1.1", 400),
        ("GET /user/abc/%00 HTTP/1.1", 400),
        ("GET /user/\u00e9/ HTTP/1.1", 400),
        ("GET /user/__proto__/ HTTP/1.1", 404),
        ("GET /user/" + "x" * 10_000 + "/ HTTP/1.1", 404),
        ("OPTIONS * HTTP/1.1", 400),
        ("CONNECT hub.example:443 HTTP/1.1", 405),
        ("TRACE /user/abc/ HTTP/1.1", 405),
        ("GET /user/abc/ HTTP/1.2", 400),
        ("PRI * HTTP/2.0", 400),
        ("PRI /user/abc/ HTTP/1.1", 405),
    ],
)
async def test_what_is_refused_reaches_nobody(
    stage: Stage, request_line: str, expected: int
) -> None:
    environment = await stage.environment("abc")

    head, body = await stage.ask(f"{request_line}\r\nHost: hub.example\r\n\r\n".encode())

    assert status(head) == expected
    assert body.startswith(b"{")
    assert (environment.accepted, stage.application.accepted) == (0, 0)


async def test_a_connection_survives_a_refused_path(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/..") + get("/user/__x/") + get("/user/abc/"))

    assert [status((await visitor.response())[0]) for _ in range(3)] == [400, 404, 200]


@pytest.mark.parametrize("request_line", ["CONNECT hub.example:443", "PRI *", "TRACE /user/abc/"])
async def test_behind_a_method_that_is_no_requests_nothing_is_read(
    stage: Stage, request_line: str
) -> None:
    """To whoever allowed it, what follows would be no request."""
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(f"{request_line} HTTP/1.1\r\nHost: h\r\n\r\n".encode() + get("/user/abc/"))
    head, _ = await visitor.response()

    assert status(head) == 405
    assert await visitor.ended()
    assert environment.accepted == 0


async def test_the_application_gets_what_is_no_route(stage: Stage) -> None:
    stage.application.answer_all(OK)

    for path in ("/", "/user", "/user/", "/user%2Fabc/", "/USER/abc/", "/x?/user/abc/"):
        head, _ = await stage.ask(get(path))
        assert status(head) == 200
