"""The systemd unit is one that systemd understands."""

import subprocess
from configparser import ConfigParser
from pathlib import Path

from proxy.settings import ProxySettings
from tests.command import ROOT
from tests.components import require
from tests.serving import COMMAND

UNIT = ROOT / "deploy" / "systemd" / "tmpenv.service"


def verified(directory: Path, text: str) -> "subprocess.CompletedProcess[str]":
    unit = directory / "tmpenv.service"
    unit.write_text(text.replace("/opt/tmpenv/bin/tmpenv", COMMAND))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_systemd_has_nothing_to_say_against_the_unit(tmp_path: Path) -> None:
    require("systemd-analyze")

    done = verified(tmp_path, UNIT.read_text())

    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_say_what_it_does_not_understand(tmp_path: Path) -> None:
    require("systemd-analyze")

    done = verified(tmp_path, UNIT.read_text().replace("ProtectHome=yes", "ProtectHouse=yes"))

    assert "ProtectHouse" in done.stderr


def test_the_unit_waits_for_longer_than_a_drain() -> None:
    unit = ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)

    assert unit.getint("Service", "TimeoutStopSec") > ProxySettings().drain_timeout_s
