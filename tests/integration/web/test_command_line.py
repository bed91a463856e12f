"""The command as people meet it: what it prints, how it fails, how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import CONFIG, run, serving
from tests.components import require
from tests.waiting import eventually


@pytest.fixture
def directory() -> Iterator[Path]:
    require("redis-server")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as name:
        path = Path(name)
        (path / "tmpenv.toml").write_text(CONFIG)
        yield path


def said(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    """Give the one line that a failure is told in."""
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    return line


async def test_a_served_environment_answers_and_the_status_shows_it(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        launched = await served.spawn()

        assert served.call("GET", launched["url"] + "x") == (200, b"hello")
        shown = served.tmpenv("status").stdout
        assert re.search(rf"^{launched['id']} +demo +assigned", shown, re.MULTILINE)
        status = json.loads(served.tmpenv("status", "--json").stdout)
        assert status["backend"]["name"] == "process"
        assert "Demo (/launch/demo): up to 3, 1 kept ready" in served.banner
        assert "nothing isolates them" in served.banner
        assert served.end() == 0


async def test_stop_ends_an_environment(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        launched = await served.spawn()

        assert served.tmpenv("stop", launched["id"]).stdout == f"{launched['id']}: ends\n"

        assert served.call("GET", launched["url"])[0] == 410
        both = served.tmpenv("stop", "nosuch", launched["id"])
        assert said(both, 1).startswith("tmpenv: nosuch: ")
        assert both.stdout == f"{launched['id']}: had ended\n"
        assert said(served.tmpenv("stop", "../x"), 2).startswith('tmpenv: "../x" is no id')


async def test_a_restart_finds_what_runs_and_on_exit_stop_ends_it(directory: Path) -> None:
    with serving(directory) as served:
        launched = await served.spawn()
        assert served.end(signal.SIGINT) == 0

    with serving(directory, "--on-exit", "stop") as served:
        assert served.call("GET", launched["url"]) == (200, b"hello")
        assert served.end() == 0

    assert not list((directory / "environments").glob("[a-z0-9]*"))


async def test_the_edge_says_what_became_of_an_environment(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        launched = await served.spawn()
        served.call("DELETE", f"/api/environments/{launched['id']}")

        async def is_told() -> bool:
            request = urllib.request.Request(
                served.url + launched["url"], headers={"Accept": "text/html"}
            )
            try:
                urllib.request.urlopen(request, timeout=10).close()
            except urllib.error.HTTPError as error:
                with error:
                    page = error.read().decode()
                return error.code == 410 and "It was stopped." in page
            return False

        await eventually(is_told)


def test_old_thebes_double_slash_reaches_the_api(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        assert served.call("GET", "//api/stats/")[0] == 200


@pytest.mark.parametrize(
    ("arguments", "environ", "line"),
    [
        (("--backend", "dokcer"), {}, 'tmpenv: --backend: "dokcer" is not one of'),
        ((), {"TMPENV_BAKCEND": "x"}, "tmpenv: TMPENV_BAKCEND: is no setting; did you mean "),
        (("--config", "/no/such.toml"), {}, "tmpenv: /no/such.toml: cannot be read: No such file"),
        (("--redis-url", "http://x:secret@y"), {}, "tmpenv: --redis-url: must begin with redis://"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_one_line(
    arguments: tuple[str, ...], environ: dict[str, str], line: str
) -> None:
    told = said(run("serve", *arguments, **environ), 2)

    assert told.startswith(line)
    assert "secret" not in told


def test_a_template_without_an_image_names_the_file(directory: Path) -> None:
    config = directory / "x.toml"
    config.write_text('backend = "docker"\n[templates.x]\ntitle = "X"\n')

    told = said(run("serve", "--config", str(config)), 2)

    assert told == (
        f"tmpenv: {config}: templates.x: the docker backend needs an image; "
        'set image = "…", or use --backend process'
    )


def test_a_taken_port_is_one_line_and_nothing_was_started(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        flags = ("--config", str(directory / "tmpenv.toml"), "--state-dir", str(directory))

        told = said(run("serve", *flags, "--port", port), 1)

    assert told.startswith(f"tmpenv: port {port} of 127.0.0.1 is taken by another program")
    assert not list((directory / "environments").glob("[a-z0-9]*"))


def test_a_redis_that_does_not_answer_is_one_line_without_its_password(directory: Path) -> None:
    url = f"unix://:s3cret@{directory}/none.sock"

    told = said(run("serve", "--state-dir", str(directory), "--redis-url", url), 1)

    assert "Redis does not answer at" in told
    assert "s3cret" not in told


def test_a_docker_daemon_that_is_not_there_is_one_line(directory: Path) -> None:
    flags = ("--state-dir", str(directory), "--backend", "docker")

    told = said(run("serve", *flags, TMPENV_DOCKER__URL=f"unix://{directory}/none.sock"), 1)

    assert told.startswith("tmpenv: No Docker daemon answers")


def test_a_docker_socket_that_is_forbidden_is_one_line_that_says_what_to_do(
    directory: Path,
) -> None:
    require("setpriv", "root")
    path = directory / "forbidden.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o600)
        os.chown(path, 65534, 65534)
        flags = ("--state-dir", str(directory), "--backend", "docker")

        # Root without the right to pass over permissions.
        prefix = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
        done = run("serve", *flags, prefix=prefix, TMPENV_DOCKER__URL=f"unix://{path}")

    assert "add the user to the group that owns it" in said(done, 1)


def test_a_state_directory_in_use_is_one_line(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop"):
        flags = ("--config", str(directory / "tmpenv.toml"), "--state-dir", str(directory))

        assert "another tmpenv uses the state directory" in said(run("serve", *flags), 1)


def test_a_status_without_a_server_is_one_line(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    told = said(run("status", "--server", f"http://127.0.0.1:{port}"), 1)

    assert told.startswith(f"tmpenv: no tmpenv answers at http://127.0.0.1:{port}")


def test_a_wrong_key_is_one_line(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        told = said(run("status", "--server", served.url, "--api-key", "wrong"), 1)

    assert told.startswith("tmpenv: the API key is missing or wrong")


def test_the_help_lists_everything() -> None:
    text = run("serve", "--help").stdout

    for word in ("--redis-url", "--on-exit", "[culling]", "idle_timeout = 1h", "[pools.<name>]"):
        assert word in text


def test_the_version_is_told() -> None:
    assert run("--version").stdout.startswith("tmpenv ")
