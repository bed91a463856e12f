"""Connections to targets are kept, each for its own target alone."""

import asyncio

import pytest

from proxy.errors import Page
from proxy.listener import Proxy
from proxy.locations import Location
from proxy.prefix_router import PrefixRouter
from proxy.request import Request
from proxy.router import Found
from proxy.routes import Standing
from proxy.settings import ProxySettings
from proxy.sockets import listen, port_of
from proxy.upstream import Upstream
from tests.integration.proxy.kit import OK, Environment, Stage, Wire, get, settled, status


async def test_2_35_a_connection_is_used_again(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()

    for _ in range(3):
        await stage.ask(get())

    assert environment.accepted == 1
    await stage.counts_become(idle_upstreams=1)


async def test_pipelined_requests_use_one_connection(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all()
    visitor = await stage.visit()

    await visitor.send(get() * 20)
    for _ in range(20):
        await visitor.response()

    assert environment.accepted == 1


async def test_the_proxy_says_what_is_open(stage: Stage) -> None:
    (await stage.environment("abc")).answer_all()

    await stage.ask(get())

    assert repr(stage.proxy).endswith("idle_upstreams=1>")


async def test_2_36_connections_are_never_shared_between_environments(stage: Stage) -> None:
    """Not even when two ids lead to one address."""
    environment = await stage.environment("abc")
    environment.answer_all()
    stage.share("def", environment)

    await stage.ask(get("/user/abc/"))
    await stage.ask(get("/user/def/"))

    assert environment.accepted == 2


async def test_2_33_the_clients_connection_survives_the_environments_close(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    visitor = await stage.visit()

    for _ in range(3):
        await visitor.send(get())
        head, body = await visitor.message()
        assert b"close" not in head
        assert body == b"ok"

    assert environment.accepted == 3


@pytest.mark.parametrize("standing", [Standing.DRAINING, Standing.GONE, Standing.STARTING])
async def test_2_37_connections_are_closed_when_the_route_goes(
    stage: Stage, standing: Standing
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream = await environment.accept()
    await upstream.head()
    await upstream.send(OK)
    await visitor.response()

    stage.put("abc", standing)

    assert await upstream.ended()
    assert stage.proxy.counts.idle_upstreams == 0


async def test_2_37_connections_to_a_former_address_are_closed(stage: Stage) -> None:
    first = await stage.environment("abc")
    first.answer_all()
    await stage.ask(get())

    second = await stage.environment("abc")
    second.answer_all(OK.replace(b"ok", b"no"))

    assert (await stage.ask(get()))[1] == b"no"
    await settled(lambda: stage.proxy.counts.idle_upstreams == 1)


async def test_a_connection_lent_before_the_address_changed_is_not_kept(stage: Stage) -> None:
    first = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream = await first.accept()
    await upstream.head()

    second = await stage.environment("abc")
    second.answer_all()
    await upstream.send(OK)
    await visitor.response()

    assert await upstream.ended()
    assert (await stage.ask(get()))[1] == b"ok"
    assert second.accepted == 1


async def warm(stage: Stage):  # type: ignore[no-untyped-def]
    """Return an environment, a visitor, and the idle connection between them."""
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    await visitor.send(get())
    upstream, _ = await environment.request()
    await upstream.send(OK)
    await visitor.message()
    return environment, visitor, upstream


async def stale(stage: Stage, request: bytes):  # type: ignore[no-untyped-def]
    """Send a request over an idle connection; return environment, visitor, connection, head."""
    environment, visitor, upstream = await warm(stage)
    await visitor.send(request)
    fresh = asyncio.create_task(environment.accept())
    head = asyncio.create_task(upstream.head())
    await asyncio.wait((fresh, head), return_when=asyncio.FIRST_COMPLETED)
    fresh.cancel()
    if not head.done() or head.exception():
        head.cancel()
        pytest.skip("it keeps no connections")
    return environment, visitor, upstream, await head


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_2_38_a_stale_connection_is_retried_once_on_a_fresh_one(
    stage: Stage, method: str
) -> None:
    request = get("/user/abc/again", method=method)
    environment, visitor, old, _ = await stale(stage, request)

    old.reset()
    fresh, head = await environment.request()
    fresh.reset()

    assert head.startswith(f"{method} /user/abc/again ".encode())
    assert stage.says(await visitor.head(), 502)
    assert environment.accepted == 2


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_2_38_a_visitor_notices_nothing_of_a_stale_connection(
    stage: Stage, method: str
) -> None:
    environment, visitor, old, _ = await stale(stage, get(method=method))

    await old.close()
    fresh, _ = await environment.request()
    await fresh.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    assert status(await visitor.head()) == 204


async def sent_once(stage: Stage, request: bytes, how: str) -> bytes:
    """See that a request goes out once over a connection that breaks; return what is told."""
    environment, visitor, old, _ = await stale(stage, request)

    if how == "reset":
        old.reset()
    else:
        await old.close()
    told: bytes = await visitor.some()

    assert environment.accepted == 1
    return told


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_what_is_not_sent_again_is_502(stage: Stage, method: str) -> None:
    assert status(await sent_once(stage, get(method=method), "reset")) == 502


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("body", [b"", b"ok"])
async def test_2_40_a_post_is_sent_once(stage: Stage, body: bytes, how: str) -> None:
    length = f"Content-Length: {len(body)}"
    await sent_once(stage, get("/user/abc/", length, method="POST") + body, how)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", ["DELETE", "POST", "OPTIONS"])
async def test_2_38_other_methods_are_not_sent_again(stage: Stage, method: str, how: str) -> None:
    await sent_once(stage, get(method=method), how)


async def test_a_get_with_a_body_is_not_sent_again(stage: Stage) -> None:
    told = await sent_once(stage, get("/user/abc/", "Content-Length: 2") + b"ok", "reset")

    assert status(told) == 502


async def test_2_39_no_retry_once_the_response_has_begun(stage: Stage) -> None:
    environment, visitor, old, _ = await stale(stage, get())

    await old.send(b"HTTP/1.1 200")
    old.reset()
    told = await visitor.some()

    assert environment.accepted == 1
    assert not told or stage.says(told, 502)


async def test_a_fresh_connection_is_not_retried(stage: Stage) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()

    await visitor.send(get())
    (await environment.accept()).reset()

    head, _ = await visitor.response()
    assert stage.says(head, 502)
    assert environment.accepted == 1


async def test_bytes_behind_a_response_are_dropped_with_their_connection(stage: Stage) -> None:
    environment = await stage.environment("abc")
    environment.answer_all(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    answers = [await stage.ask(get()) for _ in range(2)]

    assert [body for _, body in answers] == [b"ok", b"ok"]
    assert environment.accepted == 2


async def test_bytes_on_an_idle_connection_end_it(stage: Stage) -> None:
    environment, visitor, idle = await warm(stage)

    await idle.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    await settled(lambda: stage.proxy.counts.idle_upstreams == 0)
    environment.answer_all()
    await visitor.send(get())

    assert (await visitor.response())[1] == b"ok"


async def test_an_idle_connection_is_closed_after_its_time(bare_stage: Stage) -> None:
    stage = await bare_stage.start(upstream_idle_timeout_s=0.05)
    _, _, idle = await warm(stage)

    assert await idle.ended()


async def test_no_more_than_so_many_idle_connections_are_kept(bare_stage: Stage) -> None:
    stage = await bare_stage.start(max_idle_upstreams_count=1)
    environment = await stage.environment("abc")
    visitors = [await stage.visit() for _ in range(3)]
    for visitor in visitors:
        await visitor.send(get())
    for _ in visitors:
        upstream = await environment.accept()
        await upstream.head()
        await upstream.send(OK)
    for visitor in visitors:
        await visitor.response()

    assert stage.proxy.counts.idle_upstreams == 1


class RouteTakenAwayOnceFound(PrefixRouter):
    """A route that goes before the connection is begun that a request was promised."""

    def find(self, request: Request) -> Found | None:
        found = super().find(request)
        self.remove("/")
        return found


async def test_a_connection_that_is_given_up_as_it_is_made_is_forgotten(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = await stage.environment("abc")
    visitor = await stage.visit()
    made = Upstream.connection_made

    def leave(upstream: Upstream, transport: asyncio.BaseTransport) -> None:
        made(upstream, transport)
        for exchange in list(upstream.target.connecting):
            exchange.client.transport.abort()
            exchange.abort()

    monkeypatch.setattr(Upstream, "connection_made", leave)
    await visitor.send(get())
    upstream = await environment.accept()

    assert await upstream.ended()
    await settled(lambda: stage.proxy.counts.busy_upstreams == 0)
    async with asyncio.timeout(5):
        await stage.proxy.abort()


async def test_a_connection_opened_after_the_route_went_is_not_kept() -> None:
    environment = await Environment().start()
    environment.answer_all()
    router = RouteTakenAwayOnceFound(ProxySettings())
    router.put("/", Location("127.0.0.1", environment.port))
    proxy = Proxy(router=router, settings=ProxySettings(), page=lambda *_: Page(b""))
    listeners = listen("127.0.0.1", 0)
    await proxy.serve(listeners[0])
    visitor = Wire(*await asyncio.open_connection("127.0.0.1", port_of(listeners)))

    await visitor.send(get())
    _, body = await visitor.response()
    idle = proxy.counts.idle_upstreams
    await visitor.close()
    await proxy.abort()
    await environment.stop()

    assert (body, idle) == (b"ok", 0)
