"""The proxy bench at its smallest: every peer is measured and shown."""

import json
import subprocess
import sys
from pathlib import Path

from tests.command import ROOT
from tests.components import require

SCENARIOS = ("get-32", "up-64kib", "echo-100b-1")
PEERS = ("nginx", "haproxy", "chp", "tmpenv")


def test_every_peer_has_a_row_with_figures_in_the_table_and_in_the_json(tmp_path: Path) -> None:
    require("nginx", "haproxy", "chp", "wrk", "redis-server")
    path = tmp_path / "bench.json"
    command = [sys.executable, "-m", "bench", "proxy", "--json", str(path), "--rounds", "1"]
    command += ["--peers", *PEERS, "--scenarios", *SCENARIOS]

    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )

    assert ran.returncode == 0, ran.stderr
    record = json.loads(path.read_text())
    rows = {(row["scenario"], row["peer"]): row for row in record["rows"]}
    assert set(rows) == {(scenario, peer) for scenario in SCENARIOS for peer in PEERS}
    for row in rows.values():
        for key in ("units_per_second", "cpu_us_per_unit", "p50_ms", "p99_ms", "rss_mib", "busy"):
            assert row[key] > 0, (key, row)
        assert row["p50_ms"] <= row["p99_ms"]
        assert row["busy"] <= 1.1, row
    lines = [line for line in ran.stdout.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[1] for line in lines if "µs" in line] == [*PEERS] * len(SCENARIOS)
    assert [one["name"] for one in record["figures"]] == [
        "CPU for a small GET, 32 connections, against nginx",
        "CPU for a small GET, 32 connections, against CHP",
    ]
