"""``tmpenv serve`` over TLS: what visitors are told, and how a certificate is renewed."""

import asyncio
import json
import re
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.certificates import Pair, make_pair, name_shown
from tests.command import CONFIG, Served, run, serving
from tests.components import require
from tests.waiting import eventually

WITHIN_S = 5.0


@pytest.fixture
def directory() -> Iterator[Path]:
    require("redis-server", "openssl")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as name:
        path = Path(name)
        (path / "tmpenv.toml").write_text(CONFIG)
        yield path


@pytest.fixture
def pair(directory: Path) -> Pair:
    return make_pair(directory, "first")


@pytest.fixture
def processes() -> int:
    """How many move bytes; a test may say another number."""
    return 1


@pytest.fixture
def served(directory: Path, pair: Pair, processes: int) -> Iterator[Served]:
    workers = ("--proxy-workers", str(processes))
    with serving(directory, "--on-exit", "stop", *workers, *flags(pair)) as served:
        yield served


def flags(pair: Pair) -> tuple[str, ...]:
    return ("--ssl-cert", str(pair.certificate), "--ssl-key", str(pair.key))


def port_of(served: Served) -> int:
    port = urlsplit(served.url).port
    assert port
    return port


async def logged(served: Served, words: str, times: int) -> None:
    async def is_there() -> bool:
        return (served.directory / "log").read_text().count(words) == times

    await eventually(is_there)


async def shown_by(served: Served, trust: ssl.SSLContext) -> str:
    """Say whose certificate a new connection is shown."""
    async with asyncio.timeout(WITHIN_S):
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(served), ssl=trust)
    try:
        return name_shown(writer)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_9_6_visitors_are_told_secure_addresses(served: Served, pair: Pair) -> None:
    assert served.url.startswith("https://localhost:")
    way, cookie = "/launch/demo", ""
    connector = aiohttp.TCPConnector(ssl=pair.trusting())
    async with aiohttp.ClientSession(connector=connector) as session:

        async def launched() -> dict[str, str] | None:
            async with session.post(f"{served.url}/api/spawn") as answer:
                return await answer.json() if answer.status == 200 else None

        async def is_led_in() -> bool:
            nonlocal way, cookie
            async with session.get(served.url + way, allow_redirects=False) as answer:
                way = answer.headers.get("Location", way)
                cookie = answer.headers.get("Set-Cookie", "")
            return way.startswith("/user/")

        found = await eventually(launched)
        await eventually(is_led_in)
        assert found
        async with session.get(found["base_url"]) as answer:
            visited = await answer.text()

    authority = served.url.removeprefix("https://")
    assert found["base_url"] == f"https://{authority}{found['url']}"
    assert found["ws_url"] == f"wss://{authority}{found['url']}"
    assert visited == "hello"
    assert "; Secure" in cookie


async def test_environments_own_hosts_are_secure_as_well(directory: Path, pair: Pair) -> None:
    own = ("--environments-domain", "envs.example", "--base-url", "/lab1/")
    connector = aiohttp.TCPConnector(ssl=pair.trusting())
    with serving(directory, "--on-exit", "stop", *own, *flags(pair)) as served:
        port = port_of(served)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def launched() -> dict[str, str] | None:
                async with session.post(f"{served.url}/api/spawn") as answer:
                    return await answer.json() if answer.status == 200 else None

            found = await eventually(launched)
            assert found
            asks = {"Host": f"{found['id']}.envs.example:{port}", "Accept": "text/html"}
            async with session.get(served.url.removesuffix("/lab1"), headers=asks) as answer:
                visited = await answer.text()
            asks["Host"] = f"never.envs.example:{port}"
            async with session.get(served.url, headers=asks) as answer:
                status, page = answer.status, await answer.text()

    authority = f"{found['id']}.envs.example:{port}"
    assert found["base_url"] == f"https://{authority}/lab1/user/{found['id']}/"
    assert found["ws_url"] == f"wss://{authority}/lab1/user/{found['id']}/"
    assert visited == "hello"
    assert status == 410
    assert f'href="https://envs.example:{port}/lab1/"' in page


async def test_9_6_plain_http_is_hung_up_on_without_a_traceback(served: Served, pair: Pair) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(served))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    async with asyncio.timeout(WITHIN_S):
        said = await reader.read()

    assert b"HTTP" not in said
    assert await shown_by(served, pair.trusting()) == "first"
    assert "Traceback" not in (served.directory / "log").read_text()
    writer.close()


async def test_9_6_nothing_older_than_tls_1_2_is_spoken(served: Served, pair: Pair) -> None:
    trust = pair.trusting()
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    assert await shown_by(served, trust) == "first"

    trust.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        trust.minimum_version = trust.maximum_version = ssl.TLSVersion.TLSv1_1

    with pytest.raises((ssl.SSLError, ConnectionError)):
        await shown_by(served, trust)


@pytest.mark.parametrize("processes", [1, 2])
async def test_9_6_the_certificate_is_renewed_on_sighup(
    served: Served, pair: Pair, processes: int
) -> None:
    second = make_pair(served.directory, "second")

    pair.key.write_text("no key at all")
    served.process.send_signal(signal.SIGHUP)
    await logged(served, "the old one is kept", processes)
    assert await shown_by(served, pair.trusting()) == "first"
    pair.certificate.write_bytes(second.certificate.read_bytes())
    pair.key.write_bytes(second.key.read_bytes())
    served.process.send_signal(signal.SIGHUP)
    await logged(served, "was read again", processes)

    # By every process, whichever takes the connection.
    for _ in range(8 * processes):
        assert await shown_by(served, second.trusting()) == "second"


def test_the_command_line_trusts_the_certificate_of_its_settings(
    served: Served, pair: Pair
) -> None:
    port = str(port_of(served))
    own = {"TMPENV_SSL_CERT": str(pair.certificate), "TMPENV_PORT": port}

    by_flag = served.tmpenv("status", "--json", "--ssl-cert", str(pair.certificate))
    by_settings = run("status", "--json", "--state-dir", str(served.directory), **own)
    stopped = run("stop", "abc", "--state-dir", str(served.directory), **own)

    for done in (by_flag, by_settings):
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["instance"] == "default"
    assert stopped.stderr.startswith(f"tmpenv: abc: https://127.0.0.1:{port} answered 410: ")


def test_the_command_line_trusts_nobody_else(served: Served) -> None:
    other = make_pair(served.directory, "other")

    for trusted in ((), ("--ssl-cert", str(other.certificate))):
        done = served.tmpenv("status", *trusted)
        assert done.returncode == 1
        assert done.stderr == (
            f"tmpenv: the certificate of {served.url} is not trusted; "
            "give its file with --ssl-cert\n"
        )


async def test_a_key_with_a_passphrase_is_opened_by_a_file(directory: Path, pair: Pair) -> None:
    (directory / "passphrase").write_text("s3cret\n")
    subprocess.run(
        ["openssl", "pkey", "-aes256", "-passout", "pass:s3cret", "-in", pair.key,
         "-out", directory / "locked.key"],
        check=True,
    )  # fmt: skip
    pair = Pair(pair.certificate, directory / "locked.key")
    variable = {"TMPENV_SSL_KEY_PASSPHRASE_FILE": str(directory / "passphrase")}

    without = run("serve", "--state-dir", str(directory), *flags(pair))
    with serving(directory, "--on-exit", "stop", *flags(pair), **variable) as served:
        assert await shown_by(served, pair.trusting()) == "first"

    assert without.returncode == 1
    assert re.fullmatch(r"tmpenv: the certificate cannot be used: .*\n", without.stderr)


@pytest.mark.parametrize(
    ("certificate", "key", "words"),
    [
        ("none.pem", "first.key", "No such file or directory"),
        ("first.pem", "none.key", "No such file or directory"),
        ("first.key", "first.key", "first.key: "),
        ("first.pem", "second.key", "mismatch"),
        ("first.pem", "", "first.pem: "),
    ],
)
def test_a_certificate_that_cannot_be_used_is_one_line(
    directory: Path, pair: Pair, certificate: str, key: str, words: str
) -> None:
    make_pair(directory, "second")
    given = ["--ssl-cert", str(directory / certificate)]
    given += ["--ssl-key", str(directory / key)] if key else []

    done = run("serve", "--state-dir", str(directory / "state"), *given)

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("tmpenv: the certificate cannot be used: ")
    assert words in line
    assert not (directory / "state").exists()


def test_a_key_without_a_certificate_is_one_line(directory: Path, pair: Pair) -> None:
    done = run("serve", "--ssl-key", str(pair.key))

    assert done.returncode == 2
    assert done.stderr == "tmpenv: --ssl-key: needs ssl_cert, the certificate that it is for\n"
