"""``tmpenv keys``: list, make, revoke."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import CONFIG, run, serving
from tests.components import require


@pytest.fixture
def directory() -> Iterator[Path]:
    require("redis-server")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as name:
        path = Path(name)
        (path / "tmpenv.toml").write_text(CONFIG)
        yield path


def test_keys_are_made_listed_and_revoked(directory: Path) -> None:
    with serving(directory, "--on-exit", "stop") as served:
        none = served.tmpenv("keys", "list")
        key = served.tmpenv("keys", "make", "ops", "--scope", "admin").stdout.strip()
        timed = served.tmpenv("keys", "make", "ci", "--scope", "build", "--for", "90d", "--json")
        again = served.tmpenv("keys", "make", "ci", "--scope", "build")
        listed = served.tmpenv("keys", "list")
        by_key = served.tmpenv("keys", "list", "--json", "--api-key", key)
        revoked = served.tmpenv("keys", "revoke", "ops", "--api-key", key)
        shut = served.tmpenv("keys", "list", "--api-key", key)
        unknown = served.tmpenv("keys", "revoke", "ops")
        as_json = served.tmpenv("keys", "revoke", "ci", "--json")

    assert none.stdout == "no keys; make one with tmpenv keys make NAME --scope SCOPE\n"
    made = json.loads(timed.stdout)
    assert listed.stdout.splitlines() == [
        f"ci: build; until {made['expires_at']}",
        "ops: admin; for ever",
    ]
    assert [one["name"] for one in json.loads(by_key.stdout)] == ["ci", "ops"]
    assert (again.returncode, again.stdout) == (1, "")
    assert 'There is a key "ci" already' in again.stderr
    assert revoked.stdout == "ops: revoked\n"
    assert json.loads(as_json.stdout) == {"name": "ci", "revoked": True}
    assert (shut.returncode, unknown.returncode) == (1, 1)
    assert "API key is missing or wrong" in shut.stderr


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("make", "a_b", "--scope", "build"), '"a_b" is no name of a key'),
        (("make", "ci", "--scope", "everything"), '"everything" is no scope'),
        (("make", "ci", "--scope", "build", "--for", "soon"), '--for: "soon" is no duration'),
        (("revoke", "../x"), '"../x" is no name of a key'),
    ],
)
def test_what_is_asked_wrongly_is_one_line(flags: tuple[str, ...], told: str) -> None:
    answer = run("keys", *flags)

    assert answer.returncode == 2
    assert answer.stderr.startswith(f"tmpenv: {told}")
    assert answer.stderr.count("\n") == 1
