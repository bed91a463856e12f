"""The way out, with real connections on this machine's loopback."""

import asyncio
import base64
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy import forward
from proxy.forward import Address, Forward, Permit
from spawner.egress import Reach
from spawner.errors import StoreUnavailable


class Gate:
    """Knows one environment."""

    def __init__(self, permit: Permit) -> None:
        self.permit = permit
        self.is_away = False

    async def admit(self, user: str, key: str) -> Permit | None:
        if self.is_away:
            raise StoreUnavailable
        return self.permit if (user, key) == ("id", "key") else None


class Lenient:
    """Allows everything, and lists nothing."""

    def may_ask(self, _host: str, _port: int) -> bool:
        return True

    def may_reach(self, _address: Address, _port: int) -> bool:
        return True

    def lists(self, _address: Address, _port: int) -> bool:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def serving(gate: Gate) -> AsyncIterator[int]:
    way_out, port = Forward(gate), free_port()
    await way_out.listen("127.0.0.1", port)
    yield port
    await way_out.close()


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """Send everything back, and end when the other side has."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


def listing(port: int, *more: str) -> Gate:
    return Gate(Reach([f"127.0.0.1:{port}", *more]))


def request(target: str, *, user: str = "id", key: str = "key", method: str = "CONNECT") -> bytes:
    known = base64.b64encode(f"{user}:{key}".encode()).decode()
    return f"{method} {target} HTTP/1.1\r\nProxy-Authorization: Basic {known}\r\n\r\n".encode()


async def ask(port: int, head: bytes, body: bytes = b"") -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + body)
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer.decode()


async def test_a_tunnel_carries_bytes_both_ways(echo: int) -> None:
    async with serving(listing(echo)) as port:
        answer = await ask(port, request(f"127.0.0.1:{echo}"), b"x" * 1_000_000)

    head, _, body = answer.partition("\r\n\r\n")
    assert head == "HTTP/1.1 200 Connection established"
    assert body == "x" * 1_000_000


async def test_a_plain_request_arrives_as_one_for_its_host(echo: int) -> None:
    head = request(f"http://127.0.0.1:{echo}/a?b", method="PUT")
    async with serving(listing(echo)) as port:
        answer = await ask(port, head, b"body")

    expected = f"PUT /a?b HTTP/1.1\r\nHost: 127.0.0.1:{echo}\r\nConnection: close\r\n\r\nbody"
    assert answer == expected


async def test_a_name_leads_to_a_private_address_only_where_that_is_listed_too(
    echo: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "proxy.forward")
    head = request(f"http://localhost:{echo}/secret?password=1", method="GET")
    async with serving(Gate(Reach([f"localhost:{echo}"]))) as port:
        refused = await ask(port, head)
    async with serving(Gate(Reach([f"localhost:{echo}", f"127.0.0.0/8:{echo}"]))) as port:
        allowed = await ask(port, head)

    assert refused.startswith("HTTP/1.1 403 ")
    assert "no address that may be reached" in refused
    assert allowed.startswith("GET /secret?password=1")
    (record,) = (one for one in caplog.records if one.__dict__.get("event") == "egress.refused")
    assert record.__dict__["host"] == "localhost"
    assert record.__dict__["environment"] == "id"
    assert "secret" not in str(record.__dict__)


async def test_this_machine_is_not_reached_by_an_address_that_looks_like_anybodys(
    echo: int,
) -> None:
    async with serving(Gate(Lenient())) as port:
        answer = await ask(port, request(f"127.0.0.1:{echo}"))

    assert answer.startswith("HTTP/1.1 403 ")
    assert "this machine" in answer


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"key": "other"}, "407"),
        ({"user": "other"}, "407"),
        ({"target": "127.0.0.2:{port}"}, "403"),
        ({"target": "127.0.0.1:1"}, "403"),
        ({"target": "example.org:443"}, "403"),
        ({"target": "/", "method": "GET"}, "400"),
    ],
)
async def test_what_may_not_go_out_is_told_why(
    echo: int, changes: dict[str, str], status: str
) -> None:
    wanted: dict[str, Any] = {"target": "127.0.0.1:{port}"} | changes
    target = wanted.pop("target").format(port=echo)
    async with serving(listing(echo)) as port:
        answer = await ask(port, request(target, **wanted))
        allowed = await ask(port, request(f"127.0.0.1:{echo}"))

    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert ("Proxy-Authenticate: Basic" in answer) == (status == "407")
    assert allowed.startswith("HTTP/1.1 200 ")


async def test_while_nobody_can_be_asked_nobody_is_let_out(echo: int) -> None:
    gate = listing(echo)
    gate.is_away = True
    async with serving(gate) as port:
        answer = await ask(port, request(f"127.0.0.1:{echo}"))

    assert answer.startswith("HTTP/1.1 503 ")


async def test_a_host_that_is_not_there_is_told(echo: int) -> None:
    nobody = free_port()
    async with serving(listing(echo, f"127.0.0.1:{nobody}")) as port:
        assert (await ask(port, request(f"127.0.0.1:{nobody}"))).startswith("HTTP/1.1 502 ")


async def test_a_head_that_does_not_end_is_refused(echo: int) -> None:
    async with serving(listing(echo)) as port:
        answer = await ask(port, b"CONNECT " + b"a" * 40_000)

    assert answer.startswith("HTTP/1.1 431 ")


async def test_what_is_silent_is_ended(echo: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "_HEAD_S", 0.2)
    monkeypatch.setattr(forward, "_IDLE_S", 0.2)
    async with serving(listing(echo)) as port, asyncio.timeout(10):
        silent, first = await asyncio.open_connection("127.0.0.1", port)
        tunnel, second = await asyncio.open_connection("127.0.0.1", port)
        second.write(request(f"127.0.0.1:{echo}"))

        assert await silent.read() == b""
        assert (await tunnel.read()).startswith(b"HTTP/1.1 200 ")
        first.close()
        second.close()


async def test_one_environment_has_so_many_connections_and_no_more(
    echo: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward, "_EACH", 2)
    async with serving(listing(echo)) as port, asyncio.timeout(10):
        open_ = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request(f"127.0.0.1:{echo}"))
            assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
            open_.append((reader, writer))

        assert (await ask(port, b"")).startswith("HTTP/1.1 503 ")
        reader, writer = open_[0]
        writer.write_eof()
        await reader.read()
        writer.close()
        while not (await ask(port, request(f"127.0.0.1:{echo}"))).startswith("HTTP/1.1 200 "):
            pass
        open_[1][1].close()


async def test_a_slow_reader_is_not_buffered_for() -> None:
    sent = 0

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 65536

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    source = server.sockets[0].getsockname()[1]
    async with serving(listing(source)) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(request(f"127.0.0.1:{source}"))

        before = -1
        while before != sent or not sent:
            before = sent
            await asyncio.sleep(0.3)

        assert sent < 64 << 20  # what the kernel holds, and no more
        writer.close()
    server.close()


async def test_it_moves_to_another_port_and_two_may_share_one(echo: int) -> None:
    first, second = Forward(listing(echo)), Forward(listing(echo))
    old, new = free_port(), free_port()
    await first.listen("127.0.0.1", old)
    await first.listen("127.0.0.1", new)
    await second.listen("127.0.0.1", new)

    with pytest.raises(ConnectionRefusedError):
        await ask(old, request(f"127.0.0.1:{echo}"))
    await first.close()
    assert (await ask(new, request(f"127.0.0.1:{echo}"))).startswith("HTTP/1.1 200 ")
    with pytest.raises(OSError, match=r"assign|address"):
        await second.listen("198.51.100.77", new)
    await second.close()
