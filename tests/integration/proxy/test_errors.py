"""The edge's own answers, and what they cost."""

import asyncio
import json

import pytest

from proxy.routes import Route, Standing
from tests.integration.proxy.kit import OK, Stage, get, header, settled, status

NAVIGATION = ("Accept: text/html,application/xhtml+xml", "Sec-Fetch-Mode: navigate")
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket")


async def is_410(stage: Stage, standing: Standing) -> None:
    environment = await stage.environment("abc")
    stage.put("abc", standing, reason="idle")

    head, body = await stage.ask(get())

    assert status(head) == 410
    assert json.loads(body)["reason"] == "idle"
    assert header(head, b"cache-control") == [b"no-store"]
    assert header(head, b"content-type") == [b"application/json"]
    assert environment.accepted == 0


async def test_5_1_what_is_gone_is_410(stage: Stage) -> None:
    await is_410(stage, Standing.GONE)


async def test_5_1_what_never_was_is_410(stage: Stage) -> None:
    assert status((await stage.ask(get("/user/unknown/")))[0]) == 410


async def test_5_7_what_drains_is_410(stage: Stage) -> None:
    await is_410(stage, Standing.DRAINING)


@pytest.mark.parametrize("lines", [(), ("Accept: */*",), ("Accept: application/json",),
                                   ("Accept: text/html", "Sec-Fetch-Mode: cors")])  # fmt: skip
async def test_5_2_scripts_read_of_it_as_json(stage: Stage, lines: tuple[str, ...]) -> None:
    stage.put("abc", Standing.GONE, reason="idle")

    head, body = await stage.ask(get("/user/abc/", *lines))
    told = json.loads(body)

    assert status(head) == told["status"] == 410
    assert told["reason"] == "idle"
    assert told["message"]


async def test_5_3_an_old_browser_gets_a_page_too(stage: Stage) -> None:
    stage.put("abc", Standing.GONE)

    head, _ = await stage.ask(get("/user/abc/lab", "Accept: text/html"))

    assert header(head, b"content-type") == [b"text/html; charset=utf-8"]


async def test_5_3_a_navigation_gets_a_page(stage: Stage) -> None:
    stage.put("abc", Standing.GONE, reason="age", template="jupyter")

    head, body = await stage.ask(get("/user/abc/lab", *NAVIGATION))

    assert status(head) == 410
    assert header(head, b"content-type") == [b"text/html; charset=utf-8"]
    assert header(head, b"content-security-policy") == [b"default-src 'none'"]
    assert body == b"<h1>410</h1>"
    (error,) = stage.pages
    assert (error.environment_id, error.template, error.reason) == ("abc", "jupyter", "age")


async def test_5_4_an_upgrade_to_what_is_gone_is_410_as_http(stage: Stage) -> None:
    stage.put("abc", Standing.GONE)

    head, body = await stage.ask(get("/user/abc/ws", *UPGRADE))

    assert status(head) == 410
    assert json.loads(body)["type"] == "gone"


async def test_a_head_request_gets_the_error_without_its_body(stage: Stage) -> None:
    stage.put("abc", Standing.GONE)
    visitor = await stage.visit()

    await visitor.send(get(method="HEAD") + get("/user/abc/2"))
    first = await visitor.head()

    assert int(header(first, b"content-length")[0]) > 0
    assert status((await visitor.response())[0]) == 410


async def test_5_14_a_stale_tab_costs_one_question(stage: Stage) -> None:
    visitor = await stage.visit()

    for _ in range(5):
        await visitor.send(get("/user/unknown/api/kernels"))
        assert status((await visitor.response())[0]) == 410

    assert stage.resolver.asked == ["unknown"]


async def test_5_5_what_starts_is_503_and_asked_for_each_time(stage: Stage) -> None:
    stage.resolver.routes["abc"] = Route("abc", Standing.STARTING, version=1)
    environment = await stage.environment("other")
    environment.answer_all()

    answers = [await stage.ask(get()) for _ in range(2)]
    stage.resolver.routes["abc"] = Route(
        "abc", Standing.LIVE, "127.0.0.1", environment.port, version=2
    )
    live, _ = await stage.ask(get())

    for head, body in answers:
        assert status(head) == 503
        assert header(head, b"retry-after") == [b"2"]
        assert json.loads(body)["type"] == "starting"
    assert status(live) == 200
    assert stage.resolver.asked == ["abc"] * 3


async def test_a_start_that_came_to_nothing_is_410(stage: Stage) -> None:
    stage.put("abc", Standing.STARTING)

    head, _ = await stage.ask(get())

    assert status(head) == 410


async def test_requests_that_miss_together_ask_once(stage: Stage) -> None:
    environment = await stage.environment("other")
    environment.answer_all()
    stage.resolver.routes["abc"] = Route(
        "abc", Standing.LIVE, "127.0.0.1", environment.port, version=1
    )
    stage.resolver.gate.clear()

    asking = [asyncio.create_task(stage.ask(get())) for _ in range(5)]
    await settled(lambda: stage.proxy.counts.connections == 5)
    await stage.resolver.was_asked.wait()
    stage.resolver.gate.set()
    answers = await asyncio.gather(*asking)

    assert [status(head) for head, _ in answers] == [200] * 5
    assert stage.resolver.asked == ["abc"]


async def test_a_route_told_during_a_question_wins_over_its_older_answer(stage: Stage) -> None:
    environment = await stage.environment("other")
    environment.answer_all()
    stage.resolver.routes["abc"] = Route("abc", Standing.STARTING, version=1)
    stage.resolver.gate.clear()

    asking = asyncio.create_task(stage.ask(get()))
    await stage.resolver.was_asked.wait()
    stage.routes.put(Route("abc", Standing.LIVE, "127.0.0.1", environment.port, version=2))
    stage.resolver.gate.set()

    assert status((await asking)[0]) == 200


async def test_not_being_able_to_ask_is_503_and_never_410(stage: Stage) -> None:
    stage.resolver.is_down = True

    head, body = await stage.ask(get())
    stage.resolver.is_down = False

    assert status(head) == 503
    assert header(head, b"retry-after") == [b"5"]
    assert json.loads(body)["type"] == "unavailable"
    assert stage.routes.get("abc") is None


async def test_a_question_without_an_answer_is_503(bare_stage: Stage) -> None:
    stage = await bare_stage.start(connect_timeout_s=0.05)
    stage.resolver.gate.clear()

    assert status((await stage.ask(get()))[0]) == 503


async def test_live_routes_need_no_store(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    stage.resolver.is_down = True

    assert status((await stage.ask(get()))[0]) == 200


async def test_a_visitor_that_leaves_during_a_question_leaves_nothing(stage: Stage) -> None:
    environment = await stage.environment("other")
    stage.resolver.routes["abc"] = Route(
        "abc", Standing.LIVE, "127.0.0.1", environment.port, version=1
    )
    stage.resolver.gate.clear()
    visitor = await stage.visit()
    await visitor.send(get())
    await stage.resolver.was_asked.wait()

    await visitor.close()
    await settled(lambda: stage.proxy.counts.connections == 0)
    stage.resolver.gate.set()
    await settled(lambda: stage.routes.get("abc") is not None)

    assert environment.accepted == 0


async def test_a_body_that_was_sent_during_a_question_arrives(stage: Stage) -> None:
    environment = await stage.environment("other")
    stage.resolver.routes["abc"] = Route(
        "abc", Standing.LIVE, "127.0.0.1", environment.port, version=1
    )
    stage.resolver.gate.clear()
    visitor = await stage.visit()
    await visitor.send(get("/user/abc/", "Content-Length: 5", method="POST") + b"hel")
    await stage.resolver.was_asked.wait()
    await visitor.send(b"lo" + get("/user/abc/next"))

    stage.resolver.gate.set()
    upstream = await environment.accept()
    await upstream.head()
    body = await upstream.exactly(5)
    await upstream.send(OK)
    await visitor.response()

    assert body == b"hello"
    assert (await upstream.head()).startswith(b"GET /user/abc/next")


async def test_a_small_unwanted_body_is_dropped_and_the_connection_kept(stage: Stage) -> None:
    stage.put("abc", Standing.GONE)
    visitor = await stage.visit()

    for _ in range(2):
        await visitor.send(get("/user/abc/", "Content-Length: 9", method="POST") + b"GET / HTT")
        head, _ = await visitor.response()
        assert status(head) == 410
        assert header(head, b"connection") == []


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 1000000",),
        ("Transfer-Encoding: chunked",),
        ("Content-Length: 5", "Expect: 100-continue"),
    ],
)
async def test_a_large_unwanted_body_ends_the_connection(
    stage: Stage, lines: tuple[str, ...]
) -> None:
    stage.put("abc", Standing.GONE)
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", *lines, method="POST"))
    head, _ = await visitor.response()

    assert status(head) == 410
    assert header(head, b"connection") == [b"close"]
    assert await visitor.ended()


async def test_open_requests_are_cut_when_the_environment_is_gone(stage: Stage) -> None:
    environment = await stage.environment("abc")
    waiting, reading = await stage.visit(), await stage.visit()
    await reading.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
    await reading.until(b"hello")
    await waiting.send(get())
    await (await environment.accept()).head()

    stage.put("abc", Standing.DRAINING)
    await settled(lambda: stage.proxy.counts.requests == 2)
    stage.put("abc", Standing.GONE)

    assert status((await waiting.response())[0]) == 410
    assert await reading.broke()
    await settled(lambda: stage.proxy.counts.busy_upstreams == 0)


async def test_a_body_for_a_target_that_refused_does_not_hold_up_the_next_request(
    stage: Stage,
) -> None:
    environment = await stage.environment("abc")
    await environment.stop()
    stage.put("gone", Standing.GONE)
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", "Content-Length: 40000", method="POST") + b"x" * 20_000)
    refused, _ = await visitor.response()
    await visitor.send(b"x" * 20_000 + get("/user/gone/"))

    assert status(refused) == 502
    assert status((await visitor.response())[0]) == 410


async def test_an_answer_to_a_large_unwanted_body_can_be_read(stage: Stage) -> None:
    """Closing right away would reset the connection under the visitor's hands."""
    stage.put("abc", Standing.GONE)
    visitor = await stage.visit()

    await visitor.send(get("/user/abc/", "Content-Length: 9000000", method="POST"))
    for _ in range(9):
        await visitor.send(b"x" * 1_000_000)

    assert status((await visitor.response())[0]) == 410
