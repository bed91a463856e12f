"""How long a head may be, and what is told about one that is longer."""

import pytest

from tests.integration.proxy.kit import Stage, get, header


async def test_2_15_a_head_that_is_too_long_is_431(stage: Stage) -> None:
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", "X: " + "y" * 33_000))
    head, _ = await visitor.response()

    assert stage.says(head, 431)
    assert await visitor.ended()


async def test_2_15_a_head_of_many_short_lines_that_is_too_long_is_431(stage: Stage) -> None:
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", *(f"X-{n}: {'y' * 250}" for n in range(150))))
    head, _ = await visitor.response()

    assert stage.says(head, 431)


async def test_2_15_too_many_headers_are_431(stage: Stage) -> None:
    head, _ = await stage.ask(get("/user/abc/", *(f"X-{number}: y" for number in range(200))))

    assert stage.says(head, 431)


@pytest.mark.parametrize(
    "lines", [["X: " + "y" * 31_000], [f"X-{number}: {'y' * 100}" for number in range(199)]]
)
async def test_2_15_a_head_of_almost_that_length_arrives(stage: Stage, lines: list[str]) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", *lines))
    _, head = await environment.request()

    for line in lines:
        name, _, value = line.partition(": ")
        assert header(head, name.encode()) == [value.encode()]


async def test_2_16_a_url_that_is_too_long_is_414(stage: Stage) -> None:
    head, _ = await stage.ask(get("/user/abc/" + "x" * 17_000))

    assert stage.says(head, 414)


async def test_2_16_a_url_of_almost_that_length_arrives(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    path = "/user/abc/" + "x" * 16_000

    await visitor.send(get(path))
    _, head = await environment.request()

    assert head.startswith(f"GET {path} HTTP/1.1\r\n".encode())


async def test_2_17_a_response_head_that_is_too_long_is_502(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 200 OK\r\nX: " + b"leaks" * 20_000 + b"\r\n\r\n")

    head, body = await stage.ask(get())

    assert stage.says(head, 502)
    assert b"leaks" not in head + body


async def test_2_17_a_response_head_of_almost_that_length_arrives(stage: Stage) -> None:
    environment = await stage.environment("abc")
    value = b"y" * 60_000
    environment.answer_all(b"HTTP/1.1 200 OK\r\nX: " + value + b"\r\nContent-Length: 0\r\n\r\n")

    head, _ = await stage.ask(get())

    assert header(head, b"x") == [value]
