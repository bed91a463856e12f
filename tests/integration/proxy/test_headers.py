"""What the edge takes from a head and adds to it, on the wire."""

import pytest

from tests.integration.proxy.kit import OK, Stage, get, header


async def forwarded(stage: Stage, *lines: str, path: str = "/user/abc/") -> bytes:
    """Return the head that the environment, or the application, gets."""
    visitor = await stage.visit()
    await visitor.send(get(path, *lines))
    target = stage.environments[0] if path.startswith("/user/abc") else stage.application
    return await (await target.accept()).head()


async def relayed(stage: Stage, *lines: str) -> bytes:
    """Return the head that the visitor gets."""
    environment = await stage.environment("abc")
    block = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    environment.answer_all(b"HTTP/1.1 200 OK\r\n" + block + b"Content-Length: 0\r\n\r\n")
    return (await stage.ask(get()))[0]


async def test_the_environments_token_is_added_where_there_is_none(stage: Stage) -> None:
    await stage.environment("abc", authorization=b"token secret")

    head = await forwarded(stage)

    assert header(head, b"authorization") == [b"token secret"]


async def test_a_visitors_own_token_is_left_alone(stage: Stage) -> None:
    await stage.environment("abc", authorization=b"token secret")

    head = await forwarded(stage, "Authorization: token own")

    assert header(head, b"authorization") == [b"token own"]


async def test_nothing_is_added_where_the_route_has_no_token(stage: Stage) -> None:
    await stage.environment("abc")

    assert header(await forwarded(stage), b"authorization") == []


async def test_the_token_never_reaches_the_application(stage: Stage) -> None:
    await stage.environment("abc", authorization=b"token secret")

    assert b"secret" not in await forwarded(stage, path="/")


async def test_our_cookies_reach_the_application_and_no_environment(stage: Stage) -> None:
    await stage.environment("abc")
    cookie = "Cookie: a=b; tmpenv-session=s"

    assert header(await forwarded(stage, cookie), b"cookie") == [b"a=b"]
    assert header(await forwarded(stage, cookie, path="/"), b"cookie") == [b"a=b; tmpenv-session=s"]


async def test_a_stranger_cannot_forge_its_way(stage: Stage) -> None:
    await stage.environment("abc")

    for path in ("/user/abc/", "/"):
        head = await forwarded(
            stage,
            "X-Forwarded-For: 1.2.3.4",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: evil.example",
            "Forwarded: for=1.2.3.4",
            "X-Real-IP: 1.2.3.4",
            path=path,
        )
        assert header(head, b"x-forwarded-for") == [b"127.0.0.1"]
        assert header(head, b"x-forwarded-proto") == [b"http"]
        assert header(head, b"x-forwarded-host") == [b"hub.example"]
        assert header(head, b"forwarded") == header(head, b"x-real-ip") == []


async def test_a_trusted_proxy_is_appended_to(bare_stage: Stage) -> None:
    stage = await bare_stage.start(trusted_proxies=["127.0.0.0/8"])
    await stage.environment("abc")

    head = await forwarded(
        stage,
        "X-Forwarded-For: 1.2.3.4",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: public.example",
        "X-Forwarded-Prefix: /lab1",
    )

    assert header(head, b"x-forwarded-for") == [b"1.2.3.4, 127.0.0.1"]
    assert header(head, b"x-forwarded-proto") == [b"https"]
    assert header(head, b"x-forwarded-host") == [b"public.example"]
    assert header(head, b"x-forwarded-prefix") == [b"/lab1/user/abc"]


async def test_another_proxy_is_not_trusted(bare_stage: Stage) -> None:
    stage = await bare_stage.start(trusted_proxies=["10.0.0.0/8"])
    await stage.environment("abc")

    head = await forwarded(stage, "X-Forwarded-For: 1.2.3.4")

    assert header(head, b"x-forwarded-for") == [b"127.0.0.1"]


async def test_an_upgrade_to_anything_else_is_plain_http(stage: Stage) -> None:
    await stage.environment("abc")

    head = await forwarded(stage, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
                           "HTTP2-Settings: x")  # fmt: skip

    assert header(head, b"upgrade") == header(head, b"connection") == []
    assert header(head, b"http2-settings") == []


async def test_headers_that_change_on_a_connection_are_read_anew(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    heads = []

    async def script(wire):  # type: ignore[no-untyped-def]
        while True:
            heads.append(await wire.head())
            await wire.send(OK)

    environment.script = script
    for line in ("X: 1", "X: 1", "X: 2", "X: 1"):
        await visitor.send(get("/user/abc/", line))
        await visitor.response()

    assert [header(head, b"x") for head in heads] == [[b"1"], [b"1"], [b"2"], [b"1"]]


async def test_response_headers_are_kept_and_none_of_ours_added(stage: Stage) -> None:
    head = await relayed(stage, "sErver: x", "Set-Cookie: a=b", "Set-Cookie: c=d")

    assert header(head, b"set-cookie") == [b"a=b", b"c=d"]
    assert b"\r\nsErver: x\r\n" in head
    assert header(head, b"vary") == []


@pytest.mark.parametrize(
    "line",
    [
        "Set-Cookie: a=b; Path=/",
        "Set-Cookie: a=b; Domain=hub.example",
        "Service-Worker-Allowed: /",
        'Clear-Site-Data: "*"',
        "Strict-Transport-Security: max-age=1",
        "Alt-Svc: clear",
        "Keep-Alive: timeout=5",
    ],
)
async def test_what_reaches_beyond_an_environment_is_dropped(stage: Stage, line: str) -> None:
    head = await relayed(stage, line)

    assert header(head, line.partition(":")[0].encode()) == []


async def test_the_application_may_set_what_it_likes(stage: Stage) -> None:
    stage.application.answer_all(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: tmpenv-s=x; Path=/\r\nContent-Length: 0\r\n\r\n"
    )

    head, _ = await stage.ask(get("/"))

    assert header(head, b"set-cookie") == [b"tmpenv-s=x; Path=/"]


async def test_a_redirect_to_the_environments_own_address_stays_public(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n"
        b"Location: http://127.0.0.1:%d/user/abc/lab\r\n\r\n" % environment.port
    )

    head, _ = await stage.ask(get())

    assert header(head, b"location") == [b"/user/abc/lab"]
