"""What is written about the metrics, and about the alerts on them, is true."""

import json
import re
from pathlib import Path

from web.metrics.docs import every_family, table

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "metrics.md"
RULES = (ROOT / "deploy" / "prometheus" / "tmpenv.rules.yml").read_text()
DASHBOARD = ROOT / "deploy" / "prometheus" / "grafana-dashboard.json"


def test_the_table_is_what_the_metrics_say() -> None:
    assert f"\n{table()}\n" in DOCUMENT.read_text(), "run: python -m web.metrics.docs"


def test_names_and_units_are_as_prometheus_wants_them() -> None:
    for family in every_family():
        assert re.fullmatch(r"tmpenv_[a-z]+(_[a-z]+)*", family.name)
        assert family.type in ("counter", "gauge", "histogram")
        assert family.name.endswith("_seconds") == (family.type == "histogram")
        assert not family.documentation.endswith(".")


def test_every_alert_says_what_to_do_about_it() -> None:
    alerts = re.findall(r"- alert: (\w+)\n(.*?)(?=\n\n|\Z)", RULES, re.DOTALL)
    headings = re.findall(r"^### (\w+)$", DOCUMENT.read_text(), re.MULTILINE)

    assert [name for name, _ in alerts]
    assert sorted(name for name, _ in alerts) == sorted(headings)
    for name, rule in alerts:
        assert f"runbook_url: docs/metrics.md#{name.lower()}" in rule
        assert "summary: " in rule
        assert "description: " in rule
        assert re.search(r"severity: (critical|warning)", rule)


def test_the_dashboard_asks_for_its_data_source() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    targets = [target for panel in panels for target in panel["targets"]]

    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert {one["datasource"]["uid"] for one in (*panels, *targets)} == {"${datasource}"}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(target["expr"] for target in targets)
    used = set(re.findall(r"\$(job|template)\b", json.dumps(targets)))
    assert used == {"job", "template"} <= set(variables)
