"""What repo2docker makes of a repository is laid out for our own engine."""

from pathlib import Path

import pytest

from spawner.builder.model import Plan
from spawner.builder.repo2docker import Repo2dockerPlanner
from spawner.builder.settings import BuildSettings
from spawner.errors import BuildFailed
from tests.unit.builder.test_contents import put


def planned(tmp_path: Path, told: list[str], dependencies: tuple[str, ...] = ()) -> Plan:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    settings = BuildSettings(builder="repo2docker", https_proxy="http://proxy.example.org")
    planner = Repo2dockerPlanner(settings)
    return planner.plan(tmp_path / "repository", workspace, dependencies, told.append)


def test_a_python_repository_is_rendered_with_all_that_goes_with_it(tmp_path: Path) -> None:
    told: list[str] = []
    put(tmp_path / "repository", "binder/requirements.txt", "notebook.ipynb")
    (tmp_path / "repository" / "binder" / "requirements.txt").write_text("six\n")
    (tmp_path / "repository" / "data").symlink_to("notebook.ipynb")

    plan = planned(tmp_path, told)

    assert any("PythonBuildPack" in line for line in told)
    assert plan.dockerfile == plan.context / "Dockerfile"
    assert 'pip install --no-cache-dir -r "binder/requirements.txt"' in plan.dockerfile.read_text()
    assert (plan.context / "src" / "notebook.ipynb").read_text() == "notebook.ipynb\n"
    assert (plan.context / "src" / "data").is_symlink()
    assert (plan.context / "repo2docker-entrypoint").is_file()
    assert plan.arguments == {
        "NB_USER": "jovyan",
        "NB_UID": "1000",
        "HTTPS_PROXY": "http://proxy.example.org",
    }


def test_a_dockerfile_of_the_repositorys_own_stays_where_it_is(tmp_path: Path) -> None:
    told: list[str] = []
    put(tmp_path / "repository", "binder/Dockerfile")

    plan = planned(tmp_path, told)

    assert any("DockerBuildPack" in line for line in told)
    assert plan.context == tmp_path / "repository"
    assert plan.dockerfile == tmp_path / "repository" / "binder" / "Dockerfile"


def test_a_repositorys_own_modules_are_not_run(tmp_path: Path) -> None:
    """Whatever they are called, and wherever repo2docker works."""
    put(tmp_path / "repository", "requirements.txt")
    for name in ("json.py", "repo2docker.py", "sitecustomize.py", "traitlets.py"):
        (tmp_path / "repository" / name).write_text("raise SystemExit('it was run')\n")

    plan = planned(tmp_path, [])

    assert (plan.context / "src" / "json.py").exists()


def test_what_repo2docker_cannot_read_fails_with_its_last_word(tmp_path: Path) -> None:
    told: list[str] = []
    put(tmp_path / "repository", "runtime.txt", "requirements.txt")

    with pytest.raises(BuildFailed, match=r"could not plan a build: .*Invalid runtime\.txt"):
        planned(tmp_path, told)

    # Anybody may read the log: it shows nothing of this machine.
    assert not any("Traceback" in line or str(tmp_path) in line for line in told)


def test_a_link_out_of_the_repository_is_not_handed_over(tmp_path: Path) -> None:
    put(tmp_path / "repository", "notebook.ipynb")
    (tmp_path / "repository" / "Dockerfile").symlink_to("/etc/passwd")

    with pytest.raises(BuildFailed, match="out of the repository"):
        planned(tmp_path, [])


def test_dependencies_cannot_be_named_to_repo2docker(tmp_path: Path) -> None:
    put(tmp_path / "repository", "requirements.txt")

    with pytest.raises(BuildFailed, match="name no dependencies"):
        planned(tmp_path, [], ("requirements.txt",))
