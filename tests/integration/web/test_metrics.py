"""``/metrics`` of a real ``tmpenv serve``: what is there from the start, and what moves."""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.components import require
from tests.integration.proxy.kit import Wire, get, status
from tests.redis_server import RedisServer
from tests.serving import PERL, TINY_SERVER, Serving, free_port
from tests.waiting import eventually
from web.metrics.docs import every_family

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy" / "prometheus"
TEMPLATES = f"""
[templates.tiny]
command = ["{PERL}", "{TINY_SERVER}"]
stop_grace = "100ms"
[templates.broken]
command = ["{PERL}", "{TINY_SERVER}"]
env = {{ TINY_EXIT = "3" }}
[pools.tiny]
size = 2
spare = 1
[pools.broken]
size = 1
spare = 0
"""

LAGS = [
    f'tmpenv_event_loop_lag_seconds_count{{part="{part}"}}' for part in ("control", "data_path")
]

Series = Mapping[str, float]


class Scraped:
    """A tmpenv with metrics."""

    def __init__(self, directory: Path, settings: str = "", templates: str = TEMPLATES) -> None:
        require("perl")
        self.port = free_port()
        first = f'backend = "process"\nmetrics_port = {self.port}\n{settings}'
        self.serving = Serving(directory, first + templates)

    async def text(self) -> str:
        return await eventually(self._answer)

    async def _answer(self) -> str:
        url = f"http://127.0.0.1:{self.port}/metrics"
        try:
            async with self.serving.session.get(url) as response:
                assert response.status == 200
                return await response.text()
        except aiohttp.ClientConnectorError:
            return ""  # it listens a moment after the public port does

    async def series(self) -> Series:
        return series_of(await self.text())

    async def shows(self, name: str, value: float) -> None:
        async def does() -> bool:
            return (await self.series()).get(name) == value

        await eventually(does, within=30, every=0.1)


def series_of(text: str) -> Series:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def names_in(expression: str) -> set[str]:
    """Name the metrics of an expression of PromQL."""
    return set(re.findall(r"(?<![:\w])(?:tmpenv|process)_\w+", expression))


async def test_every_series_is_there_from_the_start(tmp_path: Path) -> None:
    one_pool = TEMPLATES.replace("spare = 1", "spare = 0")
    scraped = Scraped(tmp_path, templates=one_pool)
    async with scraped.serving:
        there = await scraped.series()

    described = {
        sample.name: set(sample.labels) for family in every_family() for sample in family.samples
    }
    assert set(described) <= {name.partition("{")[0] for name in there}
    for template in ("tiny", "broken"):
        for outcome in ("spare", "launched", "full", "limited", "error"):
            assert there[f'tmpenv_handouts_total{{outcome="{outcome}",template="{template}"}}'] == 0
        assert there[f'tmpenv_failed_starts_total{{template="{template}"}}'] == 0
        assert there[f'tmpenv_culls_total{{reason="idle",template="{template}"}}'] == 0
        assert there[f'tmpenv_pool_environments{{state="spare",template="{template}"}}'] == 0
    assert there['tmpenv_backend_errors_total{kind="stop_failed"}'] == 0
    assert there['tmpenv_reconcile_findings_total{kind="stray"}'] == 0
    assert there['tmpenv_proxy_answers_total{class="environment",code="502"}'] == 0
    assert there["tmpenv_store_up"] == 1


async def test_promtool_has_nothing_to_say_against_a_scrape(tmp_path: Path) -> None:
    require("promtool")
    scraped = Scraped(tmp_path)
    async with scraped.serving as serving:
        await serving.until_spares(1, "tiny")
        await serving.spawn("tiny")
        text = await scraped.text()

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


async def test_launches_move_what_tells_how_they_ended(tmp_path: Path) -> None:
    scraped = Scraped(tmp_path)
    async with scraped.serving as serving:
        await serving.until_spares(1, "tiny")
        first, second, third = [await serving.spawn("tiny") for _ in range(3)]
        broken = await serving.spawn("broken")
        unknown = await serving.spawn("nobody-made-this")
        assert [one[0] for one in (first, second)] == [200, 200]
        assert third[0] == 429
        assert broken[0] >= 500
        assert unknown[0] == 404
        await scraped.shows('tmpenv_pool_environments{state="in_use",template="tiny"}', 2)
        there = await scraped.series()

    def launches(template: str, outcome: str) -> float:
        return there[f'tmpenv_handouts_total{{outcome="{outcome}",template="{template}"}}']

    # The second found a spare if that was ready by then, and else waited for it.
    assert launches("tiny", "spare") + launches("tiny", "launched") == 2
    assert launches("tiny", "full") == there['tmpenv_turned_away_total{template="tiny"}'] == 1
    assert launches("broken", "error") == 1
    assert there['tmpenv_turned_away_total{template="broken"}'] == 0
    assert there['tmpenv_failed_starts_total{template="broken"}'] >= 1
    assert there['tmpenv_ready_duration_seconds_count{template="tiny"}'] == 2
    assert there['tmpenv_backend_duration_seconds_count{operation="start"}'] >= 2
    assert there["tmpenv_store_duration_seconds_count"] > 0
    assert there["tmpenv_lease_held"] == 1
    assert there['tmpenv_pool_size{template="tiny"}'] == 2
    assert not [name for name in there if "nobody-made-this" in name]


async def test_what_is_culled_and_what_visitors_ask_for_is_counted(tmp_path: Path) -> None:
    settings = '[culling]\nidle_timeout = "500ms"\ninterval = "100ms"\n'
    # Its own server answers every path, and knows of no kernels.
    templates = TEMPLATES.replace('stop_grace = "100ms"', 'stop_grace = "100ms"\ncull_busy = true')
    scraped = Scraped(tmp_path, settings, templates)
    async with scraped.serving as serving:
        await serving.until_spares(1, "tiny")
        _, body = await serving.spawn("tiny")
        assert await serving.visit(body["id"]) == 200
        await scraped.shows('tmpenv_culls_total{reason="idle",template="tiny"}', 1)
        await scraped.shows('tmpenv_backend_duration_seconds_count{operation="stop"}', 1)
        assert await serving.visit(body["id"]) == 410
        there = await scraped.series()

    assert there['tmpenv_proxy_answers_total{class="environment",code="200"}'] == 1
    assert there['tmpenv_proxy_answers_total{class="edge",code="410"}'] == 1
    assert there['tmpenv_proxy_answers_total{class="application",code="200"}'] >= 1
    assert there['tmpenv_proxy_bytes_total{direction="out"}'] > 0


async def test_processes_are_summed_and_their_lag_with_them(tmp_path: Path) -> None:
    scraped = Scraped(tmp_path, "proxy_workers = 2\n")
    async with scraped.serving as serving:
        await serving.until_spares(1, "tiny")
        for _ in range(16):
            wire = await Wire.open(("127.0.0.1", serving.port))
            await wire.send(get("/user/nobody/"))
            assert status((await wire.response())[0]) == 410
            await wire.close()
        await scraped.shows('tmpenv_proxy_answers_total{class="edge",code="410"}', 16)
        before = await scraped.series()

        async def are_both_measured() -> bool:
            now = await scraped.series()
            control, data_path = (now[name] - before[name] for name in LAGS)
            # Each is measured four times a second, and there are two of the one.
            return control >= 8 and data_path > 1.5 * control

        await eventually(are_both_measured, every=0.2)
        there = await scraped.series()

    assert there["tmpenv_proxy_workers"] == 2


async def test_a_store_that_is_away_breaks_no_scrape_and_empties_no_pool(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    scraped = Scraped(tmp_path, f'redis_url = "{own_redis.url}"\n')
    async with scraped.serving as serving:
        await serving.until_spares(1, "tiny")
        own_redis.stop()

        without = await scraped.series()
        own_redis.start()
        await scraped.shows('tmpenv_pool_environments{state="spare",template="tiny"}', 1)
        again = await scraped.series()

    assert without["tmpenv_store_up"] == 0
    assert without["tmpenv_store_failures_total"] >= 1
    assert not [name for name in without if name.startswith("tmpenv_pool_environments")]
    assert without['tmpenv_pool_size{template="tiny"}'] == 2
    assert again["tmpenv_store_up"] == 1


async def test_rules_and_dashboard_speak_of_metrics_that_there_are(tmp_path: Path) -> None:
    scraped = Scraped(tmp_path)
    async with scraped.serving:
        there = {name.partition("{")[0] for name in await scraped.series()}

    rules = (DEPLOY / "tmpenv.rules.yml").read_text()
    dashboard = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    for text in (rules, *asked, (ROOT / "docs" / "metrics.md").read_text()):
        unknown = {
            name
            for name in names_in(text)
            if name not in there and f"{name}_bucket" not in there and not name.endswith("_")
        }
        assert unknown <= {"tmpenv_proxy_routes"}, text
