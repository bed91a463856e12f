"""``tmpenv template``: export, import, list, remove."""

import stat
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import CONFIG, serving
from tests.components import require

FILE = """
port = 1
[templates.course]
title = "A \\"course\\""
command = "sleep 9"
env = { SECRET = "x" }
[pools.course]
size = 4
spare = 0
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    require("redis-server")
    with tempfile.TemporaryDirectory(prefix="tmpenv-") as name:
        path = Path(name)
        (path / "tmpenv.toml").write_text(CONFIG)
        (path / "course.toml").write_text(FILE)
        yield path


def test_templates_are_imported_exported_and_removed(directory: Path) -> None:
    file = directory / "course.toml"
    with serving(directory, "--on-exit", "stop") as served:
        planned = served.tmpenv("template", "import", str(file), "--dry-run")
        added = served.tmpenv("template", "import", str(file))
        same = served.tmpenv("template", "import", str(file))
        out = directory / "out.toml"
        out.write_text("")
        out.chmod(0o644)
        assert served.tmpenv("template", "export", "course", "--output", str(out)).returncode == 0
        exported = tomllib.loads(out.read_text())
        back = served.tmpenv("template", "import", str(out))
        file.write_text(FILE.replace("size = 4", "size = 5"))
        left = served.tmpenv("template", "import", str(file))
        changed = served.tmpenv("template", "import", str(file), "--replace")
        listed = served.tmpenv("template", "list")
        removed = served.tmpenv("template", "remove", "course")
        again = served.tmpenv("template", "remove", "course")

    assert (planned.stdout, added.stdout) == ("course: added\n", "course: added\n")
    assert (same.stdout, same.returncode, back.stdout) == ("course: same\n", 0, "course: same\n")
    given = tomllib.loads(FILE)
    assert exported == {key: given[key] for key in ("templates", "pools")}
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert (left.stdout, left.returncode) == (
        "course: left, --replace would change pool.size\n",
        1,
    )
    assert (changed.stdout, changed.returncode) == ("course: changed pool.size\n", 0)
    assert listed.stdout.splitlines()[1] == "course: put, up to 5, 0 kept ready"
    assert removed.stdout == "course: removed\n"
    assert (again.returncode, again.stderr) == (
        1,
        'tmpenv: there is no template "course"; see tmpenv template list\n',
    )


def test_what_the_server_declares_is_said_to_be_refused(directory: Path) -> None:
    file = directory / "demo.toml"
    file.write_text('[templates.demo]\ncommand = "other"\n')
    with serving(directory, "--on-exit", "stop") as served:
        done = served.tmpenv("template", "import", str(file), "--replace")
        exported = served.tmpenv("template", "export")

    assert done.returncode == 1
    assert done.stdout.startswith("demo: refused, the configuration of the server declares it")
    assert tomllib.loads(exported.stdout)["pools"] == {"demo": {"size": 3, "spare": 1}}


def test_a_mistake_in_the_file_is_told_as_one_in_a_configuration(directory: Path) -> None:
    file = directory / "bad.toml"
    file.write_text('[templates.x]\nimag = "y"\n')
    with serving(directory, "--on-exit", "stop") as served:
        done = served.tmpenv("template", "import", str(file))

    assert done.returncode == 2
    assert done.stderr == f'tmpenv: {file}: templates.x.imag: unknown key; did you mean "image"?\n'
