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


async def test_3_6_our_cookies_reach_the_application_and_no_environment(stage: Stage) -> None:
    await stage.environment("abc")
    cookie = "Cookie: a=b; tmpenv-session=s"

    assert header(await forwarded(stage, cookie), b"cookie") == [b"a=b"]
    assert header(await forwarded(stage, cookie, path="/"), b"cookie") == [b"a=b; tmpenv-session=s"]


async def test_a_stranger_cannot_forge_its_way_to_anybody(stage: Stage) -> None:
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


async def test_3_9_a_trusted_proxy_is_appended_to(bare_stage: Stage) -> None:
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


async def test_3_9_another_proxy_is_not_trusted(bare_stage: Stage) -> None:
    stage = await bare_stage.start(trusted_proxies=["10.0.0.0/8"])
    await stage.environment("abc")

    head = await forwarded(stage, "X-Forwarded-For: 1.2.3.4")

    assert header(head, b"x-forwarded-for") == [b"127.0.0.1"]


async def test_6_12_an_upgrade_to_anything_else_is_plain_http(stage: Stage) -> None:
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


HOP_BY_HOP = [
    *("Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "Upgrade: h2c"),
    *("Proxy-Authenticate: Basic", "Proxy-Authorization: Basic eA==", "Trailer: X"),
]


@pytest.mark.parametrize("line", [*HOP_BY_HOP, "TE: trailers", "Connection: keep-alive"])
async def test_3_1_hop_by_hop_headers_of_requests_end_here(stage: Stage, line: str) -> None:
    await stage.environment("abc")
    name = line.partition(": ")[0]

    head = await forwarded(stage, line)

    # A connection of the proxy's own to the target may have options of its own.
    own = [b"keep-alive", b"close"] if name == "Connection" else []
    assert [one for one in header(head, name.encode()) if one.lower() not in own] == []


@pytest.mark.parametrize("line", HOP_BY_HOP)
async def test_3_2_hop_by_hop_headers_of_responses_end_here(stage: Stage, line: str) -> None:
    head = await relayed(stage, line)

    name, _, value = line.partition(": ")
    assert value.encode() not in header(head, name.encode())


async def test_3_3_what_a_request_names_in_connection_ends_here(stage: Stage) -> None:
    await stage.environment("abc")

    head = await forwarded(stage, "Connection: close, x-hop , X-Other", "X-Hop: 1", "X-OTHER: 2",
                           "X-Kept: 3")  # fmt: skip

    assert header(head, b"x-hop") == header(head, b"x-other") == []
    assert header(head, b"x-kept") == [b"3"]


async def test_3_3_what_a_response_names_in_connection_ends_here(stage: Stage) -> None:
    head = await relayed(stage, "Connection: x-hop", "X-Hop: 1", "X-Kept: 3")

    assert header(head, b"x-hop") == []
    assert header(head, b"x-kept") == [b"3"]


@pytest.mark.parametrize("framing", ["Content-Length: 5", "Transfer-Encoding: chunked"])
async def test_3_4_what_a_message_needs_stays_though_it_is_named(
    stage: Stage, framing: str
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    named = "host, cookie, authorization, content-length, transfer-encoding"
    body = b"hello" if "Length" in framing else b"5\r\nhello\r\n0\r\n\r\n"

    await visitor.send(
        get("/user/abc/", f"Connection: {named}", "Cookie: a=b", "Authorization: token t",
            framing, method="POST") + body
    )  # fmt: skip
    upstream = await environment.accept()
    head, received = await upstream.message()

    assert header(head, b"host") == [b"hub.example"]
    assert header(head, b"cookie") == [b"a=b"]
    assert header(head, b"authorization") == [b"token t"]
    assert received == b"hello"


@pytest.mark.parametrize(
    "line",
    [
        *("X-Forwarded-For: evil", "X-Forwarded-Proto: evil", "X-Forwarded-Host: evil"),
        *("X-Forwarded-Prefix: evil", "X-Forwarded-Port: evil", "x-forwarded-anything: evil"),
        *("Forwarded: for=evil", "X-Real-IP: evil"),
    ],
)
async def test_3_5_what_a_client_claims_is_dropped(stage: Stage, line: str) -> None:
    await stage.environment("abc")

    assert b"evil" not in await forwarded(stage, line)


async def test_3_7_the_environment_is_told_where_a_request_comes_from(stage: Stage) -> None:
    await stage.environment("abc")

    head = await forwarded(stage)

    assert header(head, b"x-forwarded-for") == [b"127.0.0.1"]
    assert header(head, b"x-forwarded-proto") == [b"http"]
    assert header(head, b"x-forwarded-host") == [b"hub.example"]


async def test_3_8_the_environment_is_told_its_prefix(stage: Stage) -> None:
    await stage.environment("abc")

    assert header(await forwarded(stage), b"x-forwarded-prefix") == [b"/user/abc"]


LINES = ("X-ONE: 1", "x-two: 2", "X-one: 3", "X-Empty:", 'x-tWo: \xe4 \t; "q"', "X-ONE: 1")


def among(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the names and values that are tried, as they arrived."""
    pairs = [line.partition(b":") for line in head.split(b"\r\n")]
    tried = {line.partition(":")[0].lower().encode() for line in LINES}
    return [(name, value.strip()) for name, _, value in pairs if name.lower() in tried]


SENT = among("\r\n".join(LINES).encode("latin-1"))


async def test_3_10_a_requests_headers_are_kept_as_they_are(stage: Stage) -> None:
    await stage.environment("abc")

    head = await forwarded(stage, *LINES)

    assert among(head) == SENT


async def test_3_10_a_responses_headers_are_kept_as_they_are(stage: Stage) -> None:
    head = await relayed(stage, *LINES, "Set-Cookie: a=b", "Set-Cookie: c=d")

    assert among(head) == SENT
    assert header(head, b"set-cookie") == [b"a=b", b"c=d"]


async def test_header_lines_are_kept_byte_for_byte(stage: Stage) -> None:
    head = await relayed(stage, *LINES, "sErver: x")

    for line in (*LINES, "sErver: x"):
        assert b"\r\n%b\r\n" % line.encode("latin-1") in head


async def test_3_11_no_server_is_added(stage: Stage) -> None:
    head = await relayed(stage)

    assert header(head, b"server") == []
    assert header(head, b"via") == []


async def test_nothing_is_said_of_origins_where_there_are_none(stage: Stage) -> None:
    assert header(await relayed(stage), b"vary") == []


COOKIES = [
    *("Set-Cookie: a=b; Path=/", "Set-Cookie: a=b; Domain=hub.example"),
    *("Set-Cookie: a=b; path=/user/abcd", "Set-Cookie: a=b; Path=/user/abc/; DOMAIN=.example"),
]
WORKERS = ["Service-Worker-Allowed: /", "Service-Worker-Allowed: /user/abc/../"]
SITE_WIDE = [
    *('Clear-Site-Data: "*"', "Strict-Transport-Security: max-age=1", "Alt-Svc: clear"),
    'Public-Key-Pins: pin-sha256="x"; max-age=1',
]


async def is_relayed(stage: Stage, line: str) -> bool:
    name, _, value = line.partition(": ")
    return header(await relayed(stage, line), name.encode()) == [value.encode()]


@pytest.mark.parametrize("line", COOKIES)
async def test_3_12_a_cookie_that_reaches_out_is_dropped(stage: Stage, line: str) -> None:
    assert not await is_relayed(stage, line)


@pytest.mark.parametrize("attributes", ["", "; Path=/user/abc", "; Path=/user/abc/lab; HttpOnly"])
async def test_3_12_another_cookie_is_kept(stage: Stage, attributes: str) -> None:
    assert await is_relayed(stage, f"Set-Cookie: a=b{attributes}")


@pytest.mark.parametrize("line", WORKERS)
async def test_3_13_a_service_worker_may_not_reach_out(stage: Stage, line: str) -> None:
    assert not await is_relayed(stage, line)


async def test_3_13_a_service_worker_may_have_the_prefix(stage: Stage) -> None:
    assert await is_relayed(stage, "Service-Worker-Allowed: /user/abc/lab/")


@pytest.mark.parametrize("line", SITE_WIDE)
async def test_3_14_what_speaks_for_the_whole_site_is_dropped(stage: Stage, line: str) -> None:
    assert not await is_relayed(stage, line)


async def test_3_15_each_of_these_can_be_allowed(bare_stage: Stage) -> None:
    allowed = (
        *("wide_cookies", "wide_service_workers", "clear_site_data"),
        *("strict_transport_security", "alt_svc", "public_key_pins"),
    )
    stage = await bare_stage.start(**{f"allow_{name}": True for name in allowed})

    lines = [*COOKIES, WORKERS[0], *SITE_WIDE]
    head = await relayed(stage, *lines)

    for line in lines:
        assert f"\r\n{line}\r\n".encode() in head


async def test_the_application_may_set_what_it_likes(stage: Stage) -> None:
    stage.application.answer_all(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: tmpenv-s=x; Path=/\r\nContent-Length: 0\r\n\r\n"
    )

    head, _ = await stage.ask(get("/"))

    assert header(head, b"set-cookie") == [b"tmpenv-s=x; Path=/"]


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("http://127.0.0.1:{port}/user/abc/lab?x", "/user/abc/lab?x"),
        ("http://127.0.0.1:{port}1/user/abc/lab", "http://127.0.0.1:{port}1/user/abc/lab"),
        ("https://127.0.0.1:{port}/x", "https://127.0.0.1:{port}/x"),
        ("http://elsewhere.example/user/abc/", "http://elsewhere.example/user/abc/"),
        ("/user/abc/lab", "/user/abc/lab"),
        ("lab", "lab"),
    ],
)
async def test_3_16_a_redirect_to_the_environments_own_address_alone_is_rewritten(
    stage: Stage, location: str, told: str
) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n"
        % location.format(port=environment.port).encode()
    )

    head, _ = await stage.ask(get())

    assert header(head, b"location") == [told.format(port=environment.port).encode()]
