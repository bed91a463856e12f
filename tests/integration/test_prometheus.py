"""Prometheus reads our metrics, our rules and our dashboard, and fires an alert."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.components import require
from tests.prometheus import DEPLOY, Prometheus
from tests.serving import PERL, TINY_SERVER, Serving, free_port
from tests.waiting import eventually

RULES = DEPLOY / "tmpenv.rules.yml"
RULE_TESTS = Path(__file__).with_name("tmpenv.rules.test.yml")
POOL = f"""
[templates.tiny]
command = ["{PERL}", "{TINY_SERVER}"]
stop_grace = "100ms"
[pools.tiny]
size = 1
spare = 1
"""


@pytest.mark.parametrize(
    ("what", "file"),
    [
        ("check config", DEPLOY / "prometheus.yml"),
        ("check rules", RULES),
        ("test rules", RULE_TESTS),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_promtool_accepts(what: str, file: Path) -> None:
    require("promtool")

    checked = subprocess.run(
        ["promtool", *what.split(), str(file)], capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "SUCCESS" in checked.stdout


def test_every_alert_is_tried() -> None:
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    fired = re.findall(
        r"alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts", RULE_TESTS.read_text()
    )

    assert sorted(alerts) == sorted(set(fired))


async def test_an_emptied_pool_fires_its_alert_and_a_refilled_one_ends_it(tmp_path: Path) -> None:
    require("prometheus", "perl")
    port = free_port()
    settings = f'backend = "process"\nmetrics_port = {port}\n'
    async with (
        Serving(tmp_path, settings + POOL) as serving,
        Prometheus(tmp_path, port) as prometheus,
    ):
        await serving.until_spares(1, "tiny")
        spares = 'job_template_state:tmpenv_pool_environments:max{state="spare"}'
        await eventually(lambda: finds(prometheus, spares, 1.0))
        await eventually(lambda: is_quiet(prometheus))

        _, body = await serving.spawn("tiny")
        await eventually(lambda: fires(prometheus))

        await serving.end(body["id"])
        await eventually(lambda: is_quiet(prometheus))


async def finds(prometheus: Prometheus, expression: str, value: float) -> bool:
    return await prometheus.values(expression) == [value]


async def fires(prometheus: Prometheus) -> bool:
    # Others may fire too: where nothing is waited for, a busy machine is a slow one.
    alerts = {(one["alertname"], one.get("template")) for one in await prometheus.firing()}
    return ("TmpenvPoolEmpty", "tiny") in alerts


async def is_quiet(prometheus: Prometheus) -> bool:
    return not await fires(prometheus)


async def test_every_panel_of_the_dashboard_can_be_asked(tmp_path: Path) -> None:
    require("prometheus", "perl")
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel.get("targets", ())]
    port = free_port()
    settings = f'backend = "process"\nmetrics_port = {port}\n'
    async with (
        Serving(tmp_path, settings + POOL) as serving,
        Prometheus(tmp_path, port) as prometheus,
    ):
        await serving.until_spares(1, "tiny")
        await serving.spawn("tiny")

        for target in targets:
            values = {"$job": "tmpenv", "$template": ".*", "$__rate_interval": "1m"}
            expression = target["expr"]
            for variable, value in values.items():
                expression = expression.replace(variable, value)

            async def is_shown(expression: str = expression) -> bool:
                return bool(await prometheus.ask(expression))

            # A quotient or a quantile of nothing is there too, as NaN.
            await eventually(is_shown)
