"""``tmpenv pools plan`` as operators run it, alone and on a real Prometheus with a past week."""

import asyncio
import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.command import run
from tests.components import require
from tests.serving import free_port
from tests.waiting import eventually

ASKED = ("--rate", "3/min", "--stay", "25m", "--start", "4s", "--full-risk", "0.1%")
DAYS = 2
STEP_S = 240  # within the five minutes for which Prometheus takes a value for current
REPLICAS = ("a", "b")


def test_a_plan_is_printed_plainly_where_there_is_no_terminal() -> None:
    done = run("pools", "plan", *ASKED, "--memory", "512M")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:5] == [
        "POOL     RATE   STAY  START  IN USE  TURNED AWAY  A DAY  WAIT",
        "jupyter  3/min  25m   4s     74.9    0.092 %      3.99   0.11 %",
        "",
        "POOL     SIZE  SPARE  MEMORY  OF SPARES  CPUS  OF SPARES",
        "jupyter  100   3      50G     1.5G       100   3",
    ]


def test_a_plan_for_programs_has_base_units_and_the_templates_limits(tmp_path: Path) -> None:
    config = tmp_path / "tmpenv.toml"
    config.write_text('[templates.course]\nimage = "course"\nmemory = "2G"\ncpus = 0.5\n')

    done = run(
        *("pools", "plan", *ASKED, "--json", "--config", str(config), "--template", "course")
    )

    pool = json.loads(done.stdout)["pools"]["course"]
    assert (pool["size"], pool["spare"], pool["rate_per_second"]) == (100, 3, 0.05)
    assert pool["memory_bytes"] == 100 * (2 << 30)
    assert pool["cpus"] == 50


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--rate", "3/min"), "tmpenv: give --stay, --start, or --prometheus"),
        (("--rate", "3"), 'tmpenv: --rate: "3" is no rate: write 3/min'),
        (("--stay", "long"), 'tmpenv: --stay: "long" is no duration'),
        ((*ASKED, "--wait-risk", "2"), 'tmpenv: --wait-risk: "2" is no share'),
        ((*ASKED, "--memory", "much"), 'tmpenv: --memory: "much" is no size'),
        ((*ASKED, "--stay", "0"), "tmpenv: jupyter: nobody comes, or nobody stays"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_one_line(arguments: tuple[str, ...], line: str) -> None:
    done = run("pools", "plan", *arguments)

    assert done.returncode == 2, done.stderr
    (told,) = done.stderr.splitlines()
    assert told.startswith(line)


def test_a_prometheus_that_does_not_answer_is_one_line() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    done = run("pools", "plan", "--prometheus", url)

    assert done.returncode == 1
    assert done.stderr == (
        f"tmpenv: no Prometheus answers at {url}; give another with --prometheus\n"
    )


def _past() -> str:
    """Write two days: 60 visitors an hour, 240 in the last; 20 in use; starts of 5 s.

    Two replicas share the visitors, and both tell of the same environments.
    """
    now = int(time.time())
    lines: dict[str, list[str]] = {name: [] for name in ("handouts", "in_use", "sum", "count")}
    total = 0.0
    for when in range(now - DAYS * 86_400, now, STEP_S):
        an_hour = 240 if when > now - 5400 else 60
        total += an_hour / len(REPLICAS) * STEP_S / 3600
        for replica in REPLICAS:
            of = f'template="course",instance="{replica}"'
            for outcome, share in (("spare", 0.75), ("full", 0.25), ("limited", 9)):
                value = total * share
                lines["handouts"].append(
                    f'tmpenv_handouts_total{{{of},outcome="{outcome}"}} {value} {when}'
                )
            lines["in_use"].append(f'tmpenv_pool_environments{{{of},state="in_use"}} 20 {when}')
            lines["sum"].append(f"tmpenv_ready_duration_seconds_sum{{{of}}} {total * 5} {when}")
            lines["count"].append(f"tmpenv_ready_duration_seconds_count{{{of}}} {total} {when}")
    return "\n".join(
        (
            "# TYPE tmpenv_handouts counter", *lines["handouts"],
            "# TYPE tmpenv_pool_environments gauge", *lines["in_use"],
            "# TYPE tmpenv_ready_duration_seconds_sum gauge", *lines["sum"],
            "# TYPE tmpenv_ready_duration_seconds_count gauge", *lines["count"], "# EOF", "",
        )
    )  # fmt: skip


@pytest.fixture
async def prometheus() -> AsyncIterator[str]:
    """A Prometheus that has seen two days of the pool ``course``."""
    require("prometheus", "promtool")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as name:
        directory = Path(name)
        (directory / "past").write_text(_past())
        (directory / "prometheus.yml").write_text("{}")
        make = ("promtool", "tsdb", "create-blocks-from", "openmetrics")
        subprocess.run(
            [*make, directory / "past", directory / "data"], check=True, capture_output=True
        )
        port = free_port()
        with (directory / "log").open("w") as log:
            process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={directory}/prometheus.yml",
                    f"--storage.tsdb.path={directory}/data",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        url = f"http://127.0.0.1:{port}"

        async def is_ready() -> bool:
            assert process.poll() is None, (directory / "log").read_text()
            try:
                await asyncio.to_thread(lambda: urllib.request.urlopen(f"{url}/-/ready").close())
            except OSError:
                return False
            return True

        try:
            await eventually(is_ready, within=30)
            yield url
        finally:
            process.terminate()
            process.wait(30)


async def test_the_past_is_read_from_prometheus(prometheus: str) -> None:
    done = run("pools", "plan", "--prometheus", prometheus, "--days", "1", "--json")

    assert done.returncode == 0, done.stderr
    pools = json.loads(done.stdout)["pools"]
    assert list(pools) == ["course"]
    pool = pools["course"]
    # The busiest hour, with those who were turned away by a full pool, not by a limit.
    assert pool["rate_per_second"] * 3600 == pytest.approx(240, rel=0.05)
    # 20 in use, about 45 handed out an hour, and a few more in the last.
    assert pool["stay_seconds"] == pytest.approx(20 / (48 / 3600), rel=0.1)
    assert pool["start_seconds"] == pytest.approx(5, rel=0.02)
    assert pool["size"] > 20


async def test_flags_go_before_what_prometheus_knows(prometheus: str) -> None:
    flags = ("--prometheus", prometheus, "--template", "course", "--stay", "10m", "--json")

    pool = json.loads(run("pools", "plan", *flags).stdout)["pools"]["course"]

    assert pool["stay_seconds"] == 600


async def test_a_pool_that_prometheus_does_not_know_is_one_line(prometheus: str) -> None:
    done = run("pools", "plan", "--prometheus", prometheus, "--template", "other")

    assert done.returncode == 1
    assert "knows of no visitors of other within 7 days" in done.stderr
