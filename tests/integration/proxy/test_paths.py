"""The path that is routed is the path that is forwarded."""

import pytest

from tests.integration.proxy.kit import OK, Environment, Stage, get, status


@pytest.mark.parametrize("path", ["/user/abc", "/user/abc/", "/user/abc/x", "/user/abc?x"])
async def test_1_1_an_environment_has_its_prefix(stage: Stage, path: str) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    head, _ = await stage.ask(get(path))

    assert status(head) == 200
    assert environment.accepted == 1


@pytest.mark.parametrize("path", ["/user/abcd/", "/user/ab/", "/USER/abc/", "/x?/user/abc/"])
async def test_1_1_an_environment_has_nothing_else(stage: Stage, path: str) -> None:
    environment = await stage.environment("abc")
    stage.answer_all()

    await stage.ask(get(path))

    assert environment.accepted == 0


@pytest.mark.parametrize("path", ["/user%2Fabc/", "/%75ser/abc/", "/user/%61bc/", "/user/abc%2Fx"])
async def test_1_2_an_encoded_path_is_no_route(stage: Stage, path: str) -> None:
    environment = await stage.environment("abc")
    stage.answer_all()

    await stage.ask(get(path))

    assert environment.accepted == 0


@pytest.mark.parametrize(
    "path",
    [
        *("/user/abc/../def/", "/user/abc/..", "/user/abc/x/./y", "/user/abc/."),
        *("/user/abc/%2e%2e/def/", "/user/abc/.%2E/def/", "/user/abc/%2E", "/../user/abc/"),
        *("/user/abc/..%2fdef/", "//user/abc/../def/"),
    ],
)
async def test_1_3_a_dot_segment_is_400_and_reaches_nobody(stage: Stage, path: str) -> None:
    stage.share("def", await stage.environment("abc"))
    stage.answer_all()

    head, _ = await stage.ask(get(path))

    assert stage.says(head, 400)
    assert stage.reached == 0


async def test_1_3_dots_that_are_no_segment_are_forwarded(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    head, _ = await stage.ask(get("/user/abc/.hidden/a..b/...?../x"))

    assert status(head) == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/user/abc", "/user/abc/a%2Fb%20c+d;e~[f]?", "/user/abc/%7e%E4", "/user/abc/x?a=%2F%zz"),
        *("/user/abc/api/contents?1732150000000", "/user/abc?x=/../y&b=+"),
    ],
)
async def test_1_4_bytes_are_forwarded_as_they_came(stage: Stage, path: str) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get(path))
    _, head = await environment.request()

    assert head.startswith(f"GET {path} HTTP/1.1\r\n".encode())


@pytest.mark.parametrize(
    "path", ["/user/abc/%zz", "/user/abc/%", "/user/abc/%0", "/user/abc/%00", "/user/abc/a\x00b",
             "/user/abc/\u00e9", "/user/\u00e9/"],
)  # fmt: skip
async def test_1_5_what_nobody_may_interpret_is_400(stage: Stage, path: str) -> None:
    await stage.environment("abc")
    stage.answer_all()

    head, _ = await stage.ask(f"GET {path} HTTP/1.1\r\nHost: hub.example\r\n\r\n".encode())

    assert stage.says(head, 400)
    assert stage.reached == 0


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("//user/abc//api/kernels", "/user/abc/api/kernels"),
        ("///user//abc///x?y=//z", "/user/abc/x?y=//z"),
    ],
)
async def test_1_6_a_path_that_begins_with_two_slashes_has_its_runs_merged(
    stage: Stage, sent: str, forwarded: str
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get(sent))
    _, head = await environment.request()

    assert head.startswith(f"GET {forwarded} HTTP/1.1\r\n".encode())


async def test_1_7_slashes_elsewhere_stay(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc//x///y//"))
    _, head = await environment.request()

    assert head.startswith(b"GET /user/abc//x///y// HTTP/1.1\r\n")


async def test_1_8_a_target_in_absolute_form_is_routed_by_its_path(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get("http://hub.example/user/abc/x?y"))
    _, head = await environment.request()

    assert head.startswith(b"GET /user/abc/x?y HTTP/1.1\r\n")


async def test_1_8_the_host_of_an_absolute_form_is_never_dialled(stage: Stage) -> None:
    environment = await stage.environment("abc")
    elsewhere = await Environment().start()
    stage.environments.append(elsewhere)
    visitor = await stage.visit()

    host = f"127.0.0.1:{elsewhere.port}"
    await visitor.send(f"GET http://{host}/user/abc/x?y HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    _, head = await environment.request()

    assert head.startswith(b"GET /user/abc/x?y HTTP/1.1\r\n")
    assert elsewhere.accepted == 0


@pytest.mark.parametrize(
    "request_line", ["CONNECT hub.example:443", "CONNECT /user/abc/", "TRACE /user/abc/",
                     "PRI /user/abc/", "OPTIONS *"],
)  # fmt: skip
async def test_1_9_what_is_for_proxies_alone_is_refused(stage: Stage, request_line: str) -> None:
    await stage.environment("abc")
    stage.answer_all()

    head, _ = await stage.ask(f"{request_line} HTTP/1.1\r\nHost: hub.example\r\n\r\n".encode())

    assert stage.says(head, 400) or stage.says(head, 405)
    assert stage.reached == 0


@pytest.mark.parametrize(
    "name",
    ["constructor", "__proto__", "%F0%9F%98%80", "x" * 10_000, "%3Cscript%3E", "a;b", "-", "'"],
)
async def test_1_10_an_odd_name_is_not_found(stage: Stage, name: str) -> None:
    await stage.environment("abc")

    head, _ = await stage.ask(get(f"/user/{name}/"))

    # What could be the id of an environment is one that is gone.
    assert stage.says(head, 404) or stage.says(head, 410)
    assert stage.reached == 0


@pytest.mark.parametrize(
    ("path", "expected"), [("/user/__proto__/", 404), ("/user/abc/..", 400), ("/user/abc/", 405)]
)
async def test_what_is_refused_is_told_as_json(stage: Stage, path: str, expected: int) -> None:
    head, body = await stage.ask(get(path, method="TRACE" if expected == 405 else "GET"))

    assert status(head) == expected
    assert body.startswith(b"{")


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
