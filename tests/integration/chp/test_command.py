"""The command ``tmpenv proxy``: what it says, refuses, counts, and how it ends."""

import asyncio
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.command import run, variables
from tests.integration.chp.rig import Rig, Started, proxying, url_of
from tests.integration.proxy.kit import Environment, Wire, get, status
from tests.serving import free_port
from tests.waiting import eventually

pytestmark = pytest.mark.usefixtures("ours")

MISTAKES = [
    (2, ["--route", "x"], '--route: "x" is not of the form /prefix=http://host'),
    (2, ["--route", "/x=ftp://h"], '--route /x: "ftp://h" cannot be led to'),
    (2, ["--default-target", "hub"], '--default-target: "hub" cannot be led to'),
    (2, ["--error-target", "hub"], '--error-target: "hub" cannot be led to'),
    (2, ["--error-target", "http://h", "--error-path", "/"], "cannot be given with"),
    (2, ["--ssl-key", "/x"], "--ssl-key: needs --ssl-cert"),
    (2, ["--log-level", "loud"], '"loud" is none of debug, info, warn, error'),
    (1, ["--ssl-cert", "/none"], "the certificate cannot be used: /none"),
    (1, ["--api-ip", "0.0.0.0"], "set CONFIGPROXY_AUTH_TOKEN"),
    (1, ["--api-ip", ""], "set CONFIGPROXY_AUTH_TOKEN"),
    (1, ["--ip", "192.0.2.1"], "give one with --ip"),
    (1, ["--redis-url", "unix:///none"], "Redis does not answer at /none"),
    (2, ["--redis-url", "http://x"], "--redis-url: must begin with redis://"),
    (2, ["--trusted-proxy", "hub"], '--trusted-proxy: "hub" is no network'),
]


@pytest.mark.parametrize(("code", "flags", "told"), MISTAKES)
def test_a_mistake_is_one_line(code: int, flags: list[str], told: str) -> None:
    ended = run("proxy", "--port", "0", *flags, CONFIGPROXY_AUTH_TOKEN="")

    lines = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert ended.returncode == code
    assert len(lines) == 1
    assert told in lines[0]


def test_the_address_of_a_redis_may_stand_in_the_environment() -> None:
    ended = run("proxy", "--port", "0", TMPENV_REDIS_URL="unix:///none")

    assert ended.returncode == 1
    assert "Redis does not answer at /none" in ended.stderr


async def test_a_port_that_is_taken_is_told_with_its_flag(rig: Rig) -> None:
    flags = ("--port", "0", "--api-port", str(rig.started.api_port))

    ended = await asyncio.to_thread(run, "proxy", "--ip", "127.0.0.1", *flags)

    assert ended.returncode == 1
    assert "--api-port" in ended.stderr


async def test_8_18_each_port_is_where_it_was_asked_for_and_nowhere_else(tmp_path: Path) -> None:
    flags = ("--ip", "127.0.0.2", "--api-ip", "127.0.0.3")
    command = Started(tmp_path, *flags)
    try:
        for host, port in (("127.0.0.2", command.port), ("127.0.0.3", command.api_port)):
            await eventually(partial(answers, host, port))
            assert not await answers("127.0.0.1", port)
    finally:
        command.end()


async def answers(host: str, port: int) -> bool:
    try:
        wire = Wire(*await asyncio.open_connection(host, port))
    except OSError:
        return False
    await wire.send(get("/_chp_healthz"))
    head, _ = await wire.response()
    await wire.close()
    return status(head) == 200


def test_it_says_where_it_is_and_that_nobody_needs_a_token() -> None:
    command = [sys.executable, "-m", "web", "proxy", "--ip", "127.0.0.1", "--port", "0"]
    with subprocess.Popen(
        [*command, "--metrics-ip", "127.0.0.1", "--metrics-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables(CONFIGPROXY_AUTH_TOKEN=""),
    ) as process:
        assert process.stdout
        told = [process.stdout.readline() for _ in range(5)]
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "proxies." in told[0]
    assert "http://localhost:" in told[2]
    assert "/api/routes" in told[3]
    assert "/metrics" in told[4]
    assert "The REST API is open to all on this machine" in log


async def test_8_19_requests_and_routes_are_counted(tmp_path: Path) -> None:
    port = str(free_port())
    async with proxying(tmp_path, "--metrics-ip", "127.0.0.1", "--metrics-port", port) as rig:
        await rig.put("/x", url_of(await rig.server()))
        for path in ("/x/", "/x/", "/y/"):
            await rig.ask(get(path))

        async with rig.session.get(f"http://127.0.0.1:{port}/metrics") as response:
            text = await response.text()
            assert response.content_type == "text/plain"

        for line in (
            "requests_web 3.0",
            "requests_ws 0.0",
            'requests_proxy{status="200"} 2.0',
            'requests_proxy{status="404"} 1.0',
            'requests_api{status="201"} 1.0',
            "api_route_add 1.0",
            "tmpenv_proxy_routes 1.0",
            'tmpenv_proxy_answers_total{class="target",code="200"} 2.0',
            'tmpenv_proxy_answers_total{class="edge",code="502"} 0.0',
            "tmpenv_proxy_workers 1.0",
        ):
            assert line in text.splitlines()


async def test_sigterm_finishes_what_is_open(tmp_path: Path) -> None:
    async with proxying(tmp_path) as rig:
        server = await Environment().start()
        rig.servers.append(server)
        await rig.put("/x", url_of(server))
        visitor = await rig.visit()
        await visitor.send(get("/x/"))
        wire = await server.accept()
        await wire.head()

        rig.started.process.send_signal(signal.SIGTERM)
        await wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")

        head, body = await visitor.response()
        assert (status(head), body) == (200, b"done")
        assert rig.started.process.wait(20) == 0
