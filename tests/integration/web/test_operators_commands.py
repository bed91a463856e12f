"""What an operator asks a running tmpenv for, by the command as a process."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import CONFIG, Served, run, serving, variables
from tests.components import require


@pytest.fixture
def directory() -> Iterator[Path]:
    require("redis-server")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as name:
        path = Path(name)
        (path / "tmpenv.toml").write_text(CONFIG)
        yield path


def begin(served: Served, *arguments: str, **more: object) -> "subprocess.Popen[bytes]":
    """Start the command and leave it running."""
    where = ("--server", served.url, "--state-dir", str(served.directory))
    return subprocess.Popen(
        [sys.executable, "-m", "web", *arguments, *where],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": variables()} | more,  # type: ignore[call-overload]
    )


def say(directory: Path, environment_id: str, words: bytes) -> None:
    """Have an environment print, through the file that its standard output is."""
    with (directory / "environments" / environment_id / "log").open("ab") as log:
        log.write(words)


async def test_logs_prints_the_last_lines_and_says_when_there_is_no_log(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        environment_id = (await served.spawn())["id"]
        say(directory, environment_id, b"one\ntwo\n\x1b[2Jthree\n")

        last = served.tmpenv("logs", environment_id, "--tail", "2")
        unknown = served.tmpenv("logs", "nosuch")
        malformed = served.tmpenv("logs", "../x")
        keyless = run("logs", environment_id, "--server", served.url, "--api-key", "wrong")

        assert (last.returncode, last.stdout) == (0, "two\n\x1b[2Jthree\n")
        assert (unknown.returncode, malformed.returncode, keyless.returncode) == (1, 2, 1)
        assert "has ended" in unknown.stderr
        assert keyless.stderr.startswith("tmpenv: the API key is missing or wrong")


async def test_a_followed_log_comes_line_by_line_and_ends_with_its_environment(
    directory: Path,
) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        environment_id = (await served.spawn())["id"]
        say(directory, environment_id, b"one\n")
        with begin(served, "logs", environment_id, "-f", "--tail", "1") as following:
            assert following.stdout is not None

            assert following.stdout.readline() == b"one\n"
            say(directory, environment_id, b"two\n")
            assert following.stdout.readline() == b"two\n"
            served.call("DELETE", f"/api/environments/{environment_id}")

            assert following.wait(30) == 0


async def test_ctrl_c_ends_following_well(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        environment_id = (await served.spawn())["id"]
        say(directory, environment_id, b"one\n")
        with begin(served, "logs", environment_id, "-f") as following:
            assert following.stdout is not None
            following.stdout.readline()

            following.send_signal(signal.SIGINT)

            assert following.wait(30) == 0


async def test_on_a_terminal_a_log_controls_nothing(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        environment_id = (await served.spawn())["id"]
        say(directory, environment_id, b"\x1b]0;mine\x07\x1b[31mred\n")
        ours, theirs = pty.openpty()
        with begin(served, "logs", environment_id, stdout=theirs) as printing:
            assert printing.wait(30) == 0
        os.close(theirs)

        shown = os.read(ours, 4096)
        os.close(ours)

        assert b"\\x1b]0;mine\\x07red" in shown
        assert b"\x1b" not in shown


async def test_cull_says_who_would_go_and_ends_them(directory: Path) -> None:
    (directory / "tmpenv.toml").write_text(f'{CONFIG}\n[culling]\ninterval = "1h"\n')
    with serving(directory, "--on-exit", "stop") as served:
        stays = (await served.spawn())["id"]

        none = served.tmpenv("cull")
        survey = served.tmpenv("cull", "--dry-run")
        findings = json.loads(served.tmpenv("cull", "--dry-run", "--json").stdout)["environments"]

        assert none.stdout == "None of 1 environments in use has outlived its use.\n"
        assert re.search(rf"^{stays} +demo +no +\ds +\w+ +in use$", survey.stdout, re.MULTILINE)
        assert [(one["id"], one["goes"]) for one in findings] == [(stays, False)]


async def test_cull_ends_at_once_whom_the_loop_would_end_later(directory: Path) -> None:
    # A culler that has looked before anything was handed out, and looks again in an hour.
    late = '[culling]\ninterval = "1h"\nmax_age = "1ms"\n'
    (directory / "tmpenv.toml").write_text(CONFIG + late)
    with serving(directory, "--on-exit", "stop") as served:
        goes = (await served.spawn())["id"]

        survey = served.tmpenv("cull", "--dry-run")
        culled = served.tmpenv("cull")

        assert re.search(rf"^{goes} +demo +yes +\w+ +0s +age$", survey.stdout, re.MULTILINE)
        assert culled.stdout == f"{goes}: ends (age)\n"
        assert culled.returncode == 0


async def test_the_status_shows_how_long_each_is_idle(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        environment_id = (await served.spawn())["id"]

        shown = served.tmpenv("status").stdout

        assert re.search(rf"^{environment_id} +demo +assigned +\ds +\ds +\w+$", shown, re.MULTILINE)
        assert max(map(len, shown.splitlines())) <= 100
        assert served.tmpenv("status", "3").returncode == 2


async def test_a_watch_prints_a_line_of_json_each_time_and_outlives_its_server(
    directory: Path,
) -> None:
    with (
        serving(directory, "--on-exit", "stop") as served,
        begin(served, "status", "--watch", "0.1", "--json") as watching,
    ):
        assert watching.stdout is not None
        assert watching.stderr is not None
        looks = [json.loads(watching.stdout.readline()) for _ in range(2)]
        served.end()

        assert b"no tmpenv answers" in watching.stderr.readline()
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 0

    assert looks[0]["now"] < looks[1]["now"]


async def test_a_watch_on_a_terminal_keeps_the_last_table_when_the_server_is_gone(
    directory: Path,
) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        environment_id = (await served.spawn())["id"]
        ours, theirs = pty.openpty()
        size = variables(COLUMNS="100", LINES="30", TERM="xterm")
        with begin(served, "status", "--watch", "0.1", stdout=theirs, env=size) as watching:
            shown = until(ours, environment_id)
            served.end()

            shown = until(ours, "No answer since")
            shown += until(ours, environment_id)
            watching.send_signal(signal.SIGINT)
            assert watching.wait(30) == 0
        os.close(theirs)
        os.close(ours)

    assert "READY" in shown


def until(terminal: int, words: str) -> str:
    """Read a terminal until it has shown some words."""
    shown = ""
    while words not in shown:
        ready, _, _ = select.select([terminal], [], [], 30)
        assert ready, shown
        shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


def test_config_is_checked_and_shown_without_starting_anything(directory: Path) -> None:
    config = directory / "tmpenv.toml"
    flags = ("--config", str(config), "--state-dir", str(directory))
    good = run("config", "check", *flags)
    shown = run("config", "show", *flags, "--port", "9", TMPENV_API_KEY="planted")
    as_json = run("config", "show", *flags, "--json", TMPENV_API_KEY="planted")
    config.write_text("prot = 1\n[culling]\nidle_timout = 1\n")
    bad = run("config", "check", *flags)

    assert (good.returncode, good.stdout) == (0, "ok\n")
    assert "port = 9  # --port\n" in shown.stdout
    assert 'api_key = "********"  # TMPENV_API_KEY\n' in shown.stdout
    assert {"key": ["backend"], "value": "process", "source": str(config)} in json.loads(
        as_json.stdout
    )
    assert "planted" not in shown.stdout + as_json.stdout
    assert (bad.returncode, len(bad.stderr.splitlines())) == (2, 2)
    assert sorted(one.name for one in directory.iterdir()) == ["tmpenv.toml"]
