"""What requests meet: routes by prefix or host, their targets, and errors."""

import asyncio
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.integration.chp.rig import CHP, Rig, echo, proxying, url_of
from tests.integration.proxy.kit import Environment, get, header, settled, status

UNREACHABLE = 503 if CHP else 502
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
CLOSED_GOING_AWAY = b"\x88\x02\x03\xe9"


async def asked(rig: Rig, path: str, *lines: str) -> tuple[str, str]:
    """Ask for ``path``; give the name of the server that answered and what it was asked for."""
    head, body = await rig.ask(get(path, *lines))
    assert status(head) == 200, (head, body)
    name, line = body.split("\r\n")[:2]
    return name, line.split(" ")[1]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "root"),
        ("/hub", "root"),
        ("/user/foo", "foo"),
        ("/user/foo/", "foo"),
        ("/user/foo?x=1", "foo"),
        ("/user/foo/lab/a%2Fb?c=%2F", "foo"),
        ("/user/foobar/", "root"),
        ("/user/foo@bar/lab", "at"),
        ("/user/foo%40bar/lab", "at"),
        ("/%75ser/foo/lab", "foo"),
        ("/user%2Ffoo/lab", "foo"),
        ("/user/foo/deep/er/lab", "deep"),
        ("/user/foo/deep/erx", "foo"),
        ("/USER/foo/", "root"),
    ],
)
async def test_the_longest_prefix_wins_and_bytes_are_forwarded_as_they_came(
    rig: Rig, path: str, name: str
) -> None:
    prefixes = {
        "root": "/",
        "foo": "/user/foo",
        "at": "/user/foo%40bar",
        "deep": "/user/foo/deep/er",
    }
    for one, prefix in prefixes.items():
        await rig.put(prefix, url_of(await rig.server(one)))

    assert await asked(rig, path) == (name, path)


@pytest.mark.usefixtures("ours")
async def test_dot_segments_reach_nobody(rig: Rig) -> None:
    server = await rig.server()
    await rig.put("/", url_of(server))

    head, _ = await rig.ask(get("/user/a/..%2fb"))

    assert status(head) == 400
    assert server.accepted == 0


@pytest.mark.parametrize(
    ("flags", "base", "path", "forwarded"),
    [
        ((), "", "/a/b?c", "/a/b?c"),
        ((), "/base", "/a/b?c", "/base/a/b?c"),
        ((), "/base/", "/a", "/base/a"),
        ((), "/base?x=1", "/a/b?c=2", "/base/a/b?x=1&c=2"),
        (("--no-prepend-path",), "/base", "/a/b?c", "/a/b?c"),
        (("--no-include-prefix",), "", "/a/b?c", "/b?c"),
        (("--no-include-prefix",), "", "/a/", "/"),
        (("--no-include-prefix",), "", "/a", "/"),
        (("--no-include-prefix",), "/base", "/a/b%2Fc", "/base/b%2Fc"),
        (("--no-include-prefix", "--no-prepend-path"), "/base", "/a/b", "/b"),
    ],
)
async def test_8_16_the_targets_path_is_prepended_and_the_prefix_included_unless_told(
    tmp_path: Path, flags: tuple[str, ...], base: str, path: str, forwarded: str
) -> None:
    async with proxying(tmp_path, *flags) as rig:
        await rig.put("/a", url_of(await rig.server("a"), base))

        assert await asked(rig, path) == ("a", forwarded)


@pytest.mark.usefixtures("ours")
async def test_an_encoded_prefix_is_taken_off_whole(tmp_path: Path) -> None:
    async with proxying(tmp_path, "--no-include-prefix") as rig:
        await rig.put("/user/foo@bar", url_of(await rig.server("at")))

        assert await asked(rig, "/user/foo%40bar/lab") == ("at", "/lab")


async def test_a_route_leads_elsewhere_as_soon_as_it_is_put_again(rig: Rig) -> None:
    first, second = await rig.server("first"), await rig.server("second")
    visitor = await rig.visit()
    for server in (first, second):
        await rig.put("/x", url_of(server))
        await visitor.send(get("/x/"))
        _, body = await visitor.response()
        assert body.startswith(b"first" if server is first else b"second")


async def test_a_request_that_is_open_outlives_its_route(rig: Rig) -> None:
    server = await Environment().start()
    rig.servers.append(server)
    await rig.put("/x", url_of(server))
    visitor = await rig.visit()
    await visitor.send(get("/x/"))
    wire = await server.accept()
    await wire.head()

    assert (await rig.call("DELETE", "/x"))[0] == 204
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

    assert (await visitor.response())[1] == b"done"
    head, _ = await rig.ask(get("/x/"))
    assert status(head) == 404


async def test_a_server_behind_a_unix_socket_is_reached(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = await Environment().start(path)
    rig.servers.append(server)
    echo(server, "unix")

    await rig.put("/x", f"http+unix://{quote(str(path), safe='')}")

    assert await asked(rig, "/x/y") == ("unix", "/x/y")


async def test_8_17_the_host_is_the_first_segment_where_hosts_are_routed(tmp_path: Path) -> None:
    async with proxying(tmp_path, "--host-routing") as rig:
        await rig.put("/a.example.org", url_of(await rig.server("a")))
        await rig.put("/b.example.org/user/x", url_of(await rig.server("b")))
        await rig.put("/", url_of(await rig.server("root")))

        async def of(host: str, path: str) -> tuple[str, str]:
            head, body = await rig.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert status(head) == 200
            return body.split("\r\n")[0], body.split(" ")[1]

        assert await of("a.example.org:8000", "/any/path") == ("a", "/any/path")
        assert await of("b.example.org", "/user/x/lab") == ("b", "/user/x/lab")
        assert await of("b.example.org", "/user/y/") == ("root", "/user/y/")
        routes = await rig.routes()
        assert routes["/b.example.org/user/x"]["host"] == "b.example.org"
        if not CHP:
            assert await of("A.Example.org.:80", "/") == ("a", "/")


# ---- WebSocket


async def test_a_websocket_crosses_and_counts_its_data_alone(rig: Rig) -> None:
    server = await Environment().start()
    rig.servers.append(server)
    await rig.put("/x", url_of(server))
    visitor = await rig.visit()
    await visitor.send(get("/x/ws", *UPGRADE, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
    wire = await server.accept()
    await wire.head()
    await wire.send(SWITCHED)
    assert status(await visitor.head()) == 101

    async def last_activity() -> str:
        return str((await rig.routes())["/x"]["last_activity"])

    opened = await last_activity()
    await asyncio.sleep(0.02)
    if not CHP:
        await visitor.send(b"\x8a\x80mask")  # a pong
        await wire.exactly(6)
        assert await last_activity() == opened
    await visitor.send(b"\x81\x81mask\x0c")
    await wire.exactly(7)

    assert await last_activity() > opened


@pytest.mark.usefixtures("ours")
async def test_a_websocket_outlives_the_replacement_of_its_route(rig: Rig) -> None:
    server = await Environment().start()
    rig.servers.append(server)
    await rig.put("/x", url_of(server))
    visitor = await rig.visit()
    await visitor.send(get("/x/ws", *UPGRADE))
    wire = await server.accept()
    await wire.head()
    await wire.send(SWITCHED)
    await visitor.head()

    await rig.put("/x", url_of(await rig.server()))
    await visitor.send(b"\x81\x81mask\x0c")
    assert await wire.exactly(7) == b"\x81\x81mask\x0c"
    await rig.call("DELETE", "/x")
    await wire.send(b"\x81\x01a")

    # It goes on, and is the new route's neither in life nor in death.
    assert await visitor.exactly(3) == b"\x81\x01a"


@pytest.mark.usefixtures("ours")
async def test_a_route_that_goes_takes_its_websockets_along(rig: Rig) -> None:
    server = await Environment().start()
    rig.servers.append(server)
    await rig.put("/x", url_of(server))
    visitor = await rig.visit()
    await visitor.send(get("/x/ws", *UPGRADE))
    wire = await server.accept()
    await wire.head()
    await wire.send(SWITCHED)
    await visitor.head()

    await rig.call("DELETE", "/x")

    assert await visitor.rest() == CLOSED_GOING_AWAY
    assert await wire.ended()


# ---- errors


async def test_without_a_route_there_is_404(rig: Rig) -> None:
    head, _ = await rig.ask(get("/nowhere"))

    assert status(head) == 404


async def test_a_server_that_refuses_is_told_at_once(rig: Rig) -> None:
    await rig.put("/x", "http://127.0.0.1:9")

    head, _ = await rig.ask(get("/x/"))

    assert status(head) == UNREACHABLE


@pytest.mark.parametrize(("path", "code"), [("/none/%40?a=b&c", 404), ("/x/?q", 503)])
async def test_8_14_an_error_target_is_asked_for_a_page(
    tmp_path: Path, path: str, code: int
) -> None:
    pages = await Environment().start()
    pages.answer_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/x\r\nContent-Encoding: odd\r\n"
        b"Set-Cookie: a=b\r\nContent-Length: 4\r\n\r\npage"
    )
    heads: list[bytes] = []
    script = pages.script
    assert script is not None

    async def listening(wire: object) -> None:
        readuntil = wire.reader.readuntil  # type: ignore[attr-defined]

        async def keep(end: bytes) -> bytes:
            head: bytes = await readuntil(end)
            heads.append(head)
            return head

        wire.reader.readuntil = keep  # type: ignore[attr-defined]
        await script(wire)  # type: ignore[arg-type]

    pages.script = listening
    async with proxying(tmp_path, "--error-target", url_of(pages, "/hub/error")) as rig:
        rig.servers.append(pages)
        await rig.put("/x", "http://127.0.0.1:9")

        visitor = await rig.visit()
        for _ in range(2):  # the connection can go on
            await visitor.send(get(path, "Cookie: secret=1"))
            head, body = await visitor.response()

            assert status(head) == code
            assert b"page" in body
            assert header(head, b"content-type") == [b"text/x"]
            assert header(head, b"content-encoding") == [b"odd"]
            assert header(head, b"set-cookie") == []
        asked_for = quote(path.partition("?")[0], safe="")
        line = heads[0].split(b"\r\n")[0].decode()
        assert line.startswith(f"GET /hub/error/{code}?url={asked_for}%3F")
        assert b"secret" not in heads[0]


async def test_without_its_error_target_the_code_alone_is_told(tmp_path: Path) -> None:
    async with proxying(tmp_path, "--error-target", "http://127.0.0.1:9/") as rig:
        await rig.put("/x", "http://127.0.0.1:9")

        head, body = await rig.ask(get("/x/"))

        assert status(head) == 503
        assert body == "Service Unavailable"


async def test_8_15_pages_of_errors_may_be_files(tmp_path: Path) -> None:
    (tmp_path / "404.html").write_text("<p>lost</p>")
    (tmp_path / "error.html").write_text("<p>sorry</p>")
    async with proxying(tmp_path, "--error-path", str(tmp_path)) as rig:
        await rig.put("/x", "http://127.0.0.1:9")

        lost, sorry = await rig.ask(get("/y")), await rig.ask(get("/x/"))
        (tmp_path / "error.html").unlink()
        nothing = await rig.ask(get("/x/"))

    assert (status(lost[0]), lost[1]) == (404, "<p>lost</p>")
    assert header(lost[0], b"content-type") == [b"text/html"]
    assert (status(sorry[0]), sorry[1]) == (503, "<p>sorry</p>")
    assert (status(nothing[0]), nothing[1]) == (503, "Service Unavailable")


@pytest.mark.usefixtures("ours")
async def test_who_leaves_while_a_page_is_fetched_leaves_nothing_behind(tmp_path: Path) -> None:
    pages = await Environment().start()
    async with proxying(tmp_path, "--error-target", url_of(pages), "--metrics-port", "0") as rig:
        rig.servers.append(pages)
        visitor = await rig.visit()
        await visitor.send(get("/none"))
        await (await pages.accept()).head()
        await visitor.close()

        head, _ = await rig.ask(get("/_chp_healthz"))

        assert status(head) == 200


@pytest.mark.usefixtures("ours")
async def test_a_refused_upgrade_is_http_without_a_page(tmp_path: Path) -> None:
    (tmp_path / "503.html").write_text("<p>sorry</p>")
    async with proxying(tmp_path, "--error-path", str(tmp_path)) as rig:
        await rig.put("/x", "http://127.0.0.1:9")

        head, body = await rig.ask(get("/x/ws", *UPGRADE))

        assert status(head) == 503
        assert "sorry" not in body


@pytest.mark.usefixtures("ours")
async def test_a_browser_gets_a_page(rig: Rig) -> None:
    head, body = await rig.ask(get("/<script>".replace("<", "%3C"), "Accept: text/html"))

    assert header(head, b"content-type") == [b"text/html; charset=utf-8"]
    assert "<h1>404 Not Found</h1>" in body


# ---- origins


async def test_targets_speak_of_origins_themselves(rig: Rig) -> None:
    server = await Environment().start()
    rig.servers.append(server)
    server.answer_all(
        b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://a.example\r\n"
        b"Set-Cookie: a=b; Path=/; Domain=example.org\r\nContent-Length: 0\r\n\r\n"
    )
    await rig.put("/x", url_of(server))

    head, _ = await rig.ask(
        get("/x/", "Origin: https://a.example", "Access-Control-Request-Method: GET",
            method="OPTIONS")
    )  # fmt: skip

    assert status(head) == 200
    assert header(head, b"access-control-allow-origin") == [b"https://a.example"]
    assert len(header(head, b"set-cookie")) == 1


@pytest.mark.usefixtures("ours")
async def test_the_edge_speaks_of_origins_where_some_are_given(tmp_path: Path) -> None:
    async with proxying(tmp_path, "--cors-origin", "https://a.example") as rig:
        server = await Environment().start()
        rig.servers.append(server)
        server.answer_all(
            b"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n"
        )
        await rig.put("/x", url_of(server))

        origin = "Origin: https://a.example"
        plain, _ = await rig.ask(get("/x/", origin))
        lost, _ = await rig.ask(get("/y/", origin))
        visitor = await rig.visit()
        await visitor.send(
            get("/x/", origin, "Access-Control-Request-Method: PUT", method="OPTIONS")
        )
        preflight = await visitor.head()

        assert status(preflight) == 204
        for head in (plain, lost, preflight):
            assert header(head, b"access-control-allow-origin") == [b"https://a.example"]


@pytest.mark.usefixtures("ours")
async def test_all_cookies_reach_the_target(rig: Rig) -> None:
    server = await rig.server()
    await rig.put("/x", url_of(server))

    _, body = await rig.ask(get("/x/", "Cookie: tmpenv-session=1; a=b"))

    assert "Cookie: tmpenv-session=1; a=b\r\n" in body
    assert "X-Forwarded-Prefix: /x\r\n" in body


async def test_idle_connections_of_a_route_that_goes_are_closed(rig: Rig) -> None:
    if CHP:
        pytest.skip("configurable-http-proxy shares them by address")
    server = await rig.server()
    await rig.put("/x", url_of(server))
    await asked(rig, "/x/")
    (wire,) = server.wires

    await rig.call("DELETE", "/x")

    await settled(wire.reader.at_eof)
