"""An environment that is only its visitor's: what reaches it, and what the others get."""

import json
import time

import pytest

from proxy.guard import make_pass
from proxy.routes import Route, Standing
from tests.integration.proxy.kit import Environment, Stage, get, header, status

SESSION = "5e5510"
ROUTE = {"authorization": b"token secret", "session": SESSION.encode(), "template": "lab"}
COOKIE = f"Cookie: a=b; tmpenv-_session={SESSION}"
NAVIGATION = ("Accept: text/html,application/xhtml+xml", "Sec-Fetch-Mode: navigate")
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
ORIGIN = "Origin: https://page.example"
PATH, OWN = "hub.example", "abc.envs.example"


@pytest.fixture
async def stage(bare_stage: Stage) -> Stage:
    return await bare_stage.start(cors_origins=["*"])


@pytest.fixture
async def environment(stage: Stage) -> Environment:
    environment = await stage.environment("abc", **ROUTE)
    environment.answer_all()
    return environment


@pytest.mark.parametrize("lines", [(COOKIE,), ("Authorization: token secret",)])
async def test_its_visitor_reaches_it_with_its_token_and_without_our_cookie(
    stage: Stage, lines: tuple[str, ...]
) -> None:
    environment = await stage.environment("abc", **ROUTE)
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/lab?x", *lines))
    head = await (await environment.accept()).head()

    assert head.startswith(b"GET /user/abc/lab?x HTTP/1.1\r\n")
    assert header(head, b"authorization") == [b"token secret"]
    assert b"tmpenv-" not in head


@pytest.mark.parametrize(
    "request_",
    [
        get("/user/abc/api/kernels", ORIGIN),
        get("/user/abc/api/kernels", ORIGIN, method="DELETE"),
        get("/user/abc/ws", ORIGIN, *UPGRADE),
        get("/user/abc/ws?token=wrong", ORIGIN, *UPGRADE),
        get("/user/abc/x", ORIGIN, "Authorization: token wrong"),
        get("/user/abc/x", ORIGIN, "Cookie: tmpenv-_session=wrong"),
    ],
)
async def test_6_15_nothing_of_the_others_reaches_it(
    stage: Stage, environment: Environment, request_: bytes
) -> None:
    head, body = await stage.ask(request_)

    assert (status(head), json.loads(body)["type"]) == (403, "not_yours")
    assert header(head, b"access-control-allow-origin") == [b"*"]
    assert environment.accepted == 0
    assert stage.activity.take() == []


async def test_a_body_that_was_refused_is_not_taken_for_a_request(
    stage: Stage, environment: Environment
) -> None:
    visitor = await stage.visit()
    body = get("/user/abc/", COOKIE)

    await visitor.send(get("/user/abc/", f"Content-Length: {len(body)}", method="POST") + body)
    await visitor.send(get("/user/abc/", COOKIE))

    assert [status((await visitor.response())[0]) for _ in range(2)] == [403, 200]
    assert environment.accepted == 1


async def test_a_page_says_whose_it_is(stage: Stage, environment: Environment) -> None:
    head, body = await stage.ask(get("/user/abc/lab", *NAVIGATION))

    assert (status(head), body) == (403, b"<h1>403</h1>")
    (error,) = stage.pages
    assert (error.code, error.template) == ("not_yours", "lab")
    assert environment.accepted == 0


async def test_one_connection_gives_nobody_anothers_leave(
    stage: Stage, environment: Environment
) -> None:
    visitor = await stage.visit()

    for line in (COOKIE, "X: y", COOKIE):
        await visitor.send(get("/user/abc/", line))
    statuses = [status((await visitor.response())[0]) for _ in range(3)]

    assert statuses == [200, 403, 200]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [("Origin: http://hub.example", 101), ("Origin: https://evil.example", 403)],
)
async def test_6_14_a_websocket_with_the_cookie_is_for_its_own_pages_alone(
    stage: Stage, origin: str, expected: int
) -> None:
    environment = await stage.environment("abc", **ROUTE)
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/ws", *UPGRADE, origin, COOKIE))
    if expected == 101:
        upstream = await environment.accept()
        assert header(await upstream.head(), b"authorization") == [b"token secret"]
        await upstream.send(SWITCH)

    assert status(await visitor.head()) == expected
    assert environment.accepted == (expected == 101)


async def test_a_foreign_page_may_not_change_anything(
    stage: Stage, environment: Environment
) -> None:
    head, body = await stage.ask(get("/user/abc/x", ORIGIN, COOKIE, method="POST"))

    assert (status(head), json.loads(body)["type"]) == (403, "foreign_origin")
    assert environment.accepted == 0


async def test_preflights_are_answered_before_anything_is_asked_for(
    stage: Stage, environment: Environment
) -> None:
    wanted = "Access-Control-Request-Method: PUT"

    head, _ = await stage.ask(get("/user/abc/x", ORIGIN, wanted, method="OPTIONS"))

    assert status(head) == 204
    assert environment.accepted == 0


@pytest.mark.parametrize(
    ("host", "mount", "path"),
    [
        (PATH, "/", "/user/abc"),
        (PATH, "/lab1/", "/lab1/user/abc"),
        (OWN, "/", "/"),
        (OWN, "/lab1/", "/"),
    ],
)
async def test_a_link_that_hands_out_becomes_a_cookie(
    bare_stage: Stage, host: str, mount: str, path: str
) -> None:
    stage = await bare_stage.start(domain="envs.example" if host == OWN else "", mount=mount)
    environment = await stage.environment("abc", **ROUTE)
    environment.answer_all()
    link = f"{mount}user/abc/lab?x=1&{make_pass(SESSION, time.time())}"

    given, _ = await stage.ask(get(link, *NAVIGATION, host=host))
    (cookie,) = header(given, b"set-cookie")
    pair, *attributes = cookie.decode().split("; ")
    (location,) = header(given, b"location")
    head, _ = await stage.ask(get(location.decode(), *NAVIGATION, f"Cookie: {pair}", host=host))

    assert (status(given), location) == (302, f"{mount}user/abc/lab?x=1".encode())
    assert attributes == [f"Path={path}", "HttpOnly", "SameSite=Lax"]
    assert status(head) == 200
    assert environment.accepted == 1


async def test_on_its_own_host_every_path_is_guarded(bare_stage: Stage) -> None:
    stage = await bare_stage.start(domain="envs.example")
    environment = await stage.environment("abc", **ROUTE)
    environment.answer_all()

    refused = [
        status((await stage.ask(get(path, *lines, host=OWN)))[0])
        for path in ("/x", "/user/abc/", "/user/other/")
        for lines in ((), UPGRADE)
    ]
    root, _ = await stage.ask(get("/", host=OWN))
    let_in, _ = await stage.ask(get("/x", COOKIE, host=OWN))

    assert refused == [403] * 6
    assert status(root) == 302
    assert status(let_in) == 200
    assert environment.accepted == 1


async def test_by_path_a_page_is_led_to_the_host_where_its_cookie_is(bare_stage: Stage) -> None:
    stage = await bare_stage.start(domain="envs.example")
    await stage.environment("abc", **ROUTE)

    page, _ = await stage.ask(get("/user/abc/lab", *NAVIGATION))
    script, _ = await stage.ask(get("/user/abc/api"))

    assert (status(page), status(script)) == (307, 403)


async def test_one_that_had_to_be_looked_up_is_guarded_from_the_first_request(
    stage: Stage,
) -> None:
    environment = await Environment().start()
    stage.environments.append(environment)
    environment.answer_all()
    stage.resolver.routes["abc"] = Route(
        "abc",
        Standing.LIVE,
        "127.0.0.1",
        environment.port,
        **ROUTE,  # type: ignore[arg-type]
    )

    refused, _ = await stage.ask(get("/user/abc/"))
    let_in, _ = await stage.ask(get("/user/abc/", COOKIE))

    assert (status(refused), status(let_in)) == (403, 200)
    assert environment.accepted == 1


async def test_one_that_has_ended_is_gone_for_everybody(stage: Stage) -> None:
    stage.put("abc", Standing.GONE)

    head, _ = await stage.ask(get("/user/abc/"))

    assert status(head) == 410
