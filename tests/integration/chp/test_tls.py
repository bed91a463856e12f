"""TLS with visitors, renewed on SIGHUP, and with targets, verified."""

import asyncio
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.certificates import Pair, make_pair, name_shown
from tests.components import require
from tests.integration.chp.rig import Rig, proxying, url_of
from tests.integration.proxy.kit import Environment, Wire, get, header, settled, status

pytestmark = pytest.mark.usefixtures("ours")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    require("openssl")
    return make_pair(tmp_path, "first")


@pytest.fixture
async def rig(tmp_path: Path, pair: Pair) -> AsyncIterator[Rig]:
    flags = ("--ssl-cert", str(pair.certificate), "--ssl-key", str(pair.key))
    async with proxying(tmp_path, *flags) as rig:
        yield rig


async def test_9_1_requests_come_over_tls_and_targets_hear_of_it(rig: Rig, pair: Pair) -> None:
    await rig.put("/x", url_of(await rig.server()))

    head, body = await rig.ask(get("/x/y"), tls=pair.trusting())

    assert status(head) == 200
    assert "X-Forwarded-Proto: https\r\n" in body


async def test_9_1_nothing_but_tls_is_spoken(rig: Rig, pair: Pair) -> None:
    visitor = await rig.visit()

    await visitor.send(get("/x/y"))

    assert await visitor.ended()


async def test_9_3_tls_1_2_is_the_oldest(rig: Rig, pair: Pair) -> None:
    old = pair.trusting()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    assert status((await rig.ask(get("/"), tls=old))[0]) == 404

    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await rig.visit(tls=old)


async def test_connections_are_kept_and_closed_as_asked(rig: Rig, pair: Pair) -> None:
    await rig.put("/x", url_of(await rig.server()))
    visitor = await rig.visit(tls=pair.trusting())
    for _ in range(3):
        await visitor.send(get("/x/y"))
        assert status((await visitor.response())[0]) == 200

    await visitor.send(get("/x/y", "Connection: close"))
    head, _ = await visitor.response()

    assert header(head, b"connection") == [b"close"]
    assert await visitor.ended()


async def test_a_websocket_crosses_over_tls(rig: Rig, pair: Pair) -> None:
    server = await Environment().start()
    rig.servers.append(server)
    await rig.put("/x", url_of(server))
    visitor = await rig.visit(tls=pair.trusting())
    await visitor.send(get("/x/ws", "Connection: Upgrade", "Upgrade: websocket"))
    wire = await server.accept()
    await wire.head()
    await wire.send(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        b"\x82\x01a"
    )
    assert status(await visitor.head()) == 101
    assert await visitor.exactly(3) == b"\x82\x01a"
    await visitor.send(b"\x82\x81mask\x0c")
    assert await wire.exactly(7) == b"\x82\x81mask\x0c"

    await rig.call("DELETE", "/x")

    assert await visitor.rest() == b"\x88\x02\x03\xe9"


async def test_a_large_body_crosses_both_ways_over_tls(rig: Rig, pair: Pair) -> None:
    server = await Environment().start()
    rig.servers.append(server)
    await rig.put("/x", url_of(server))
    size = 3 * 1024 * 1024

    async def script(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        body = await wire.reader.readexactly(size)
        wire.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body))
        await wire.writer.drain()

    server.script = script
    visitor = await rig.visit(tls=pair.trusting())
    sent = bytes(range(256)) * (size // 256)

    await visitor.send(get("/x/", f"Content-Length: {size}", method="PUT") + sent)
    _, received = await visitor.response()

    assert received == sent


async def test_a_body_that_breaks_off_never_looks_whole(rig: Rig, pair: Pair) -> None:
    server = await Environment().start()
    rig.servers.append(server)
    await rig.put("/x", url_of(server))
    visitor = await rig.visit(tls=pair.trusting())
    await visitor.send(get("/x/"))
    wire = await server.accept()
    await wire.head()
    await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun")
    await visitor.head()
    wire.reset()

    assert await visitor.exactly(5) == b"begun"

    # A reset, where a close_notify would say that all was sent.
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await visitor.exactly(100)


async def test_9_2_the_certificate_is_renewed_on_sighup(
    tmp_path: Path, rig: Rig, pair: Pair
) -> None:
    before = await rig.visit(tls=pair.trusting())
    assert name_shown(before.writer) == "first"
    second = make_pair(tmp_path, "second")

    pair.certificate.write_bytes(second.certificate.read_bytes())
    rig.started.process.send_signal(signal.SIGHUP)
    await settled(lambda: b"is kept" in rig.started.log.read_bytes())
    first = ssl.create_default_context()
    first.check_hostname, first.verify_mode = False, ssl.CERT_NONE
    await rig.visit(tls=first)  # the old one, since the key is another's
    pair.key.write_bytes(second.key.read_bytes())
    rig.started.process.send_signal(signal.SIGHUP)
    await settled(lambda: b"was read again" in rig.started.log.read_bytes())
    after = await rig.visit(tls=second.trusting())

    assert name_shown(after.writer) == "second"
    for visitor in (before, after):
        await visitor.send(get("/_chp_healthz"))
        assert status((await visitor.response())[0]) == 200


# ---- targets


async def https_server(pair: Pair) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecure")
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0, ssl=pair.serving())


async def answer_of_https_target(directory: Path, pair: Pair, *flags: str) -> tuple[int, str]:
    server = await https_server(pair)
    port = server.sockets[0].getsockname()[1]
    async with proxying(directory, *flags) as rig:
        await rig.put("/x", f"https://127.0.0.1:{port}")
        head, body = await rig.ask(get("/x/"))
    server.close()
    await server.wait_closed()
    return status(head), body


async def test_9_4_an_https_target_that_nobody_vouches_for_is_not_spoken_to(
    tmp_path: Path, pair: Pair
) -> None:
    answered, body = await answer_of_https_target(tmp_path, pair)

    assert answered == 502
    assert "secure" not in body


async def test_9_4_an_https_target_that_somebody_vouches_for_is_reached(
    tmp_path: Path, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(pair.certificate))

    assert await answer_of_https_target(tmp_path, pair) == (200, "secure")


async def test_9_5_any_https_target_is_reached_where_nobody_asks(
    tmp_path: Path, pair: Pair
) -> None:
    assert await answer_of_https_target(tmp_path, pair, "--insecure") == (200, "secure")


@pytest.mark.parametrize("damage", ["certificate", "key"])
async def test_a_certificate_that_is_none_is_told_at_once(
    tmp_path: Path, pair: Pair, damage: str
) -> None:
    getattr(pair, damage).write_text("nothing")

    with pytest.raises(AssertionError, match="the certificate cannot be used"):
        async with proxying(
            tmp_path, "--ssl-cert", str(pair.certificate), "--ssl-key", str(pair.key)
        ):
            pass
