"""Each environment at a host of its own, and by path on the service's for scripts alone."""

import json

import pytest

from proxy.activity import ActivityEntry
from proxy.routes import Route, Standing
from tests.integration.proxy.kit import Environment, Stage, get, header, status

DOMAIN = "envs.example"
OWN = "abc.envs.example"
NAVIGATION = ("Accept: text/html,application/xhtml+xml", "Sec-Fetch-Mode: navigate")
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


@pytest.fixture
async def stage(bare_stage: Stage) -> Stage:
    stage = await bare_stage.start(domain=DOMAIN)
    stage.application.answer_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nservice")
    return stage


@pytest.fixture
async def environment(stage: Stage) -> Environment:
    environment = await stage.environment("abc", authorization=b"token secret")
    environment.answer_all()
    return environment


async def forwarded(stage: Stage, request: bytes) -> bytes:
    """Return the head that an environment gets for a request."""
    environment = await stage.environment("abc", authorization=b"token secret")
    visitor = await stage.visit()
    await visitor.send(request)
    return await (await environment.accept()).head()


# ---- on an environment's host


@pytest.mark.parametrize(
    "host", [OWN, "ABC.Envs.Example", f"{OWN}.", f"{OWN}:8000", f"{OWN}.:8000", f"{OWN}:"]
)
async def test_1_11_a_host_leads_to_its_environment_however_it_is_spelt(
    stage: Stage, host: str
) -> None:
    head = await forwarded(stage, get("/user/abc/lab?x", host=host))

    assert head.startswith(b"GET /user/abc/lab?x HTTP/1.1\r\n")
    assert header(head, b"host") == [host.encode()]
    assert header(head, b"authorization") == [b"token secret"]
    assert header(head, b"x-forwarded-host") == [host.encode()]
    assert header(head, b"x-forwarded-prefix") == [b"/user/abc"]


@pytest.mark.parametrize(
    "path", ["/user/other/lab", "/user/__proto__/", "/api/spawn", "/static/a%2Fb?", "/launch/lab"]
)
async def test_1_11_every_path_on_it_is_the_environments(stage: Stage, path: str) -> None:
    other = await stage.environment("other")

    head = await forwarded(stage, get(path, host=OWN))

    assert head.startswith(f"GET {path} HTTP/1.1\r\n".encode())
    assert (other.accepted, stage.application.accepted) == (0, 0)


@pytest.mark.parametrize("path", ["/", "/?x=%2F"])
async def test_its_root_leads_to_where_the_environment_answers(
    stage: Stage, environment: Environment, path: str
) -> None:
    head, _ = await stage.ask(get(path, host=OWN))

    assert (status(head), header(head, b"location")) == (302, [b"/user/abc" + path.encode()])
    assert environment.accepted == 0


@pytest.mark.parametrize("path", ["/user/abc/../x", "/%2e%2e/", "/%zz", "/%00"])
async def test_no_path_on_it_may_be_read_in_two_ways(
    stage: Stage, environment: Environment, path: str
) -> None:
    head, _ = await stage.ask(get(path, host=OWN))

    assert status(head) == 400
    assert environment.accepted == 0


async def test_1_11_a_websocket_is_opened_there(stage: Stage) -> None:
    environment = await stage.environment("abc", authorization=b"token secret")
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/ws", *UPGRADE, host=OWN))
    upstream = await environment.accept()
    head = await upstream.head()
    await upstream.send(SWITCH + b"\x81\x02hi")

    assert header(head, b"upgrade") == [b"websocket"]
    assert header(head, b"authorization") == [b"token secret"]
    assert status(await visitor.head()) == 101
    assert await visitor.exactly(4) == b"\x81\x02hi"


async def test_our_cookies_stay_with_us(stage: Stage) -> None:
    head = await forwarded(stage, get("/", "Cookie: a=b; tmpenv-lab=x", method="POST", host=OWN))

    assert header(head, b"cookie") == [b"a=b"]


async def test_cookies_and_policies_of_its_own_host_are_kept_and_wider_ones_dropped(
    stage: Stage,
) -> None:
    lines = (
        b"Set-Cookie: a=b; Path=/",
        b"Set-Cookie: c=d; Domain=abc.envs.example",
        b"Set-Cookie: e=f; Domain=envs.example",
        b"Service-Worker-Allowed: /",
        b'Clear-Site-Data: "cookies"',
        b"Access-Control-Allow-Origin: *",
    )
    environment = await stage.environment("abc")
    block = b"".join(line + b"\r\n" for line in lines)
    environment.answer_all(b"HTTP/1.1 200 OK\r\n" + block + b"Content-Length: 0\r\n\r\n")

    by_host, _ = await stage.ask(get(host=OWN))
    by_path, _ = await stage.ask(get())

    assert header(by_host, b"set-cookie") == [b"a=b; Path=/", b"c=d; Domain=abc.envs.example"]
    assert header(by_host, b"service-worker-allowed") == [b"/"]
    assert header(by_host, b"clear-site-data") == []
    assert header(by_host, b"access-control-allow-origin") == []
    assert header(by_path, b"set-cookie") == header(by_path, b"service-worker-allowed") == []


async def test_requests_by_host_and_by_path_on_one_connection_keep_their_rules(
    stage: Stage,
) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    )
    visitor = await stage.visit()
    cookies = []

    for host in (OWN, "hub.example", OWN):
        await visitor.send(get(host=host))
        cookies.append(header((await visitor.response())[0], b"set-cookie"))

    assert cookies == [[b"a=b; Path=/"], [], [b"a=b; Path=/"]]
    assert environment.accepted == 1


@pytest.mark.parametrize(
    ("path", "clock"),
    [("/user/abc/api/kernels", "control"), ("/user/abc/api/x", "http"), ("/x", "http")],
)
async def test_use_is_told_from_polls_below_the_environments_prefix(
    stage: Stage, environment: Environment, path: str, clock: str
) -> None:
    await stage.ask(get(path, host=OWN))

    assert moved(stage.activity.take()) == {clock}
    assert environment.accepted == 1


def moved(entries: list[ActivityEntry]) -> set[str]:
    (entry,) = entries
    return {name for name in ("http", "control") if getattr(entry, name) is not None}


# ---- standing


async def test_an_environment_is_looked_up_by_its_host(stage: Stage) -> None:
    environment = await Environment().start()
    stage.environments.append(environment)
    environment.answer_all()
    stage.resolver.routes["abc"] = Route("abc", Standing.LIVE, "127.0.0.1", environment.port)

    head, _ = await stage.ask(get(host=OWN))

    assert status(head) == 200
    assert stage.resolver.asked == ["abc"]


@pytest.mark.parametrize(
    ("standing", "expected"),
    [(None, 410), (Standing.GONE, 410), (Standing.DRAINING, 410), (Standing.STARTING, 503)],
)
async def test_one_that_cannot_be_reached_is_answered_for_by_the_edge(
    stage: Stage, standing: Standing | None, expected: int
) -> None:
    if standing is not None:
        stage.put("abc", standing)
        stage.resolver.routes["abc"] = Route("abc", standing)

    head, body = await stage.ask(get("/user/abc/", host=OWN))
    upgrade, _ = await stage.ask(get("/user/abc/ws", *UPGRADE, host=OWN))
    page, html = await stage.ask(get("/", *NAVIGATION, host=OWN))

    assert status(head) == status(upgrade) == status(page) == expected
    assert json.loads(body)["status"] == expected
    assert html == b"<h1>%d</h1>" % expected


@pytest.mark.parametrize("host", ["a.abc.envs.example", "-x.envs.example", ".envs.example:80"])
async def test_a_host_that_can_be_no_environments_is_404(
    stage: Stage, environment: Environment, host: str
) -> None:
    head, _ = await stage.ask(get("/user/abc/", host=host))

    assert status(head) == 404
    assert (environment.accepted, stage.application.accepted) == (0, 0)


async def test_answers_of_the_edge_can_be_read_by_origins(bare_stage: Stage) -> None:
    stage = await bare_stage.start(domain=DOMAIN, cors_origins=["https://page.example"])
    lines = ("Origin: https://page.example", "Access-Control-Request-Method: PUT")
    environment = await stage.environment("abc")

    preflight, _ = await stage.ask(get("/x", *lines, method="OPTIONS", host=OWN))
    gone, _ = await stage.ask(get("/x", lines[0], host="gone.envs.example"))

    assert (status(preflight), status(gone)) == (204, 410)
    for head in (preflight, gone):
        assert header(head, b"access-control-allow-origin") == [b"https://page.example"]
    assert environment.accepted == 0


# ---- which host counts


@pytest.mark.parametrize("named", ["abc.envs.example", "ABC.envs.example.:80"])
async def test_an_absolute_target_that_names_the_same_host_is_forwarded_by_its_path(
    stage: Stage, named: str
) -> None:
    head = await forwarded(stage, get(f"http://{named}/user/abc/x", host=OWN))

    assert head.startswith(b"GET /user/abc/x HTTP/1.1\r\n")
    assert header(head, b"host") == [OWN.encode()]


@pytest.mark.parametrize(
    ("named", "host"),
    [(OWN, "hub.example"), ("hub.example", OWN), (OWN, "other.envs.example"), ("x@" + OWN, OWN)],
)
async def test_a_target_and_a_host_that_differ_reach_nobody(
    stage: Stage, environment: Environment, named: str, host: str
) -> None:
    head, _ = await stage.ask(get(f"http://{named}/user/abc/", host=host))

    assert status(head) == 400
    assert (environment.accepted, stage.application.accepted) == (0, 0)


async def test_the_host_that_a_trusted_proxy_was_asked_for_counts(bare_stage: Stage) -> None:
    stage = await bare_stage.start(domain=DOMAIN, trusted_proxies=["127.0.0.0/8"])

    head = await forwarded(stage, get("/x", f"X-Forwarded-Host: {OWN}", host="10.0.0.1:8000"))

    assert head.startswith(b"GET /x HTTP/1.1\r\n")
    assert header(head, b"x-forwarded-host") == [OWN.encode()]


async def test_a_strangers_claim_to_another_host_does_not(
    stage: Stage, environment: Environment
) -> None:
    _, body = await stage.ask(get("/x", f"X-Forwarded-Host: {OWN}"))

    assert body == b"service"
    assert environment.accepted == 0


# ---- on the service's hosts


@pytest.mark.parametrize("host", [DOMAIN, "hub.example", "127.0.0.1:8000", "abcenvs.example"])
async def test_every_other_host_is_the_services(stage: Stage, host: str) -> None:
    _, body = await stage.ask(get("/launch/lab", *NAVIGATION, host=host))

    assert body == b"service"


@pytest.mark.parametrize("lines", [(), ("Accept: */*", "Sec-Fetch-Mode: cors"), UPGRADE])
async def test_scripts_and_websockets_reach_an_environment_by_path(
    stage: Stage, lines: tuple[str, ...]
) -> None:
    head = await forwarded(stage, get("/user/abc/api/kernels", *lines))

    assert head.startswith(b"GET /user/abc/api/kernels HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "lines", [NAVIGATION, ("Accept: text/html",), ("Sec-Fetch-Mode: navigate",)]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_page_is_led_to_the_environments_own_host(
    stage: Stage, environment: Environment, lines: tuple[str, ...], method: str
) -> None:
    head, _ = await stage.ask(
        get("/user/abc/lab/tree/a%20b?x=1&y", *lines, method=method, host="hub.example:8000")
    )

    assert status(head) == 307
    assert header(head, b"location") == [b"//abc.envs.example:8000/user/abc/lab/tree/a%20b?x=1&y"]
    assert header(head, b"cache-control") == [b"no-store"]
    assert environment.accepted == 0


async def test_a_page_of_one_that_has_ended_is_answered_where_it_was_asked(stage: Stage) -> None:
    stage.put("abc", Standing.GONE)

    head, _ = await stage.ask(get("/user/abc/lab", *NAVIGATION))

    assert status(head) == 410


async def test_a_page_that_waited_for_the_store_is_led_on_too(stage: Stage) -> None:
    stage.resolver.routes["abc"] = Route("abc", Standing.LIVE, "127.0.0.1", 1)

    head, _ = await stage.ask(get("/user/abc/lab", *NAVIGATION))

    assert status(head) == 307


async def test_no_environment_gives_the_services_origin_a_service_worker(
    stage: Stage, environment: Environment
) -> None:
    line = "Service-Worker: script"

    by_path, body = await stage.ask(get("/user/abc/sw.js", line))
    by_host, _ = await stage.ask(get("/user/abc/sw.js", line, host=OWN))

    assert (status(by_path), json.loads(body)["type"]) == (403, "no_service_worker")
    assert status(by_host) == 200
    assert environment.accepted == 1


async def test_by_path_the_rules_for_paths_stay(stage: Stage, environment: Environment) -> None:
    statuses = [status((await stage.ask(get(path)))[0]) for path in ("/user/__x/", "/user/abc/..")]

    assert statuses == [404, 400]
    assert environment.accepted == 0


# ---- under a mount


@pytest.fixture
async def mounted(bare_stage: Stage) -> Stage:
    return await bare_stage.start(domain=DOMAIN, mount="/lab1/")


@pytest.mark.parametrize(
    "path", ["/lab1/user/abc/lab?x", "/lab1/user/other/lab", "/lab1/launch/lab", "/user/abc/x"]
)
async def test_every_path_on_it_is_the_environments_under_a_mount_too(
    mounted: Stage, path: str
) -> None:
    other = await mounted.environment("other")

    head = await forwarded(mounted, get(path, host=OWN))

    assert head.startswith(f"GET {path} HTTP/1.1\r\n".encode())
    assert header(head, b"x-forwarded-prefix") == [b"/lab1/user/abc"]
    assert (other.accepted, mounted.application.accepted) == (0, 0)


async def test_its_root_leads_below_the_mount(mounted: Stage) -> None:
    await mounted.environment("abc")

    head, _ = await mounted.ask(get("/?x", host=OWN))

    assert (status(head), header(head, b"location")) == (302, [b"/lab1/user/abc/?x"])


@pytest.mark.parametrize(
    ("path", "clock"),
    [
        ("/lab1/user/abc/api/kernels", "control"),
        ("/lab1/user/other/api/kernels", "http"),
        ("/user/abc/api/kernels", "http"),
    ],
)
async def test_a_poll_is_one_below_its_own_whole_prefix_alone(
    mounted: Stage, path: str, clock: str
) -> None:
    environment = await mounted.environment("abc")
    environment.answer_all()

    await mounted.ask(get(path, host=OWN))

    assert moved(mounted.activity.take()) == {clock}


async def test_a_page_by_path_is_led_to_the_same_path_on_the_own_host(mounted: Stage) -> None:
    await mounted.environment("abc")

    head, _ = await mounted.ask(get("/lab1/user/abc/lab?x", *NAVIGATION))

    assert (status(head), header(head, b"location")) == (
        307,
        [b"//abc.envs.example/lab1/user/abc/lab?x"],
    )
