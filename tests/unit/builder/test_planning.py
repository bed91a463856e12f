"""Which file decides, and the Dockerfile that is written for it."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spawner.builder.model import Plan
from spawner.builder.planning import FilePlanner, planner_for
from spawner.builder.repo2docker import Repo2dockerPlanner
from spawner.builder.settings import BuildSettings
from spawner.errors import BuildFailed
from tests.unit.builder.test_contents import put

ALL = ("requirements.txt", "environment.yml", "Dockerfile")


class Planned:
    """A repository's plan, and what was told of it."""

    def __init__(
        self, directory: Path, dependencies: tuple[str, ...] = (), **settings: object
    ) -> None:
        workspace = directory.with_name(f"{directory.name}-workspace")
        workspace.mkdir()
        self.told: list[str] = []
        planner = FilePlanner(BuildSettings.model_validate(settings))
        self.plan: Plan = planner.plan(directory, workspace, dependencies, self.told.append)
        self.text = self.plan.dockerfile.read_text()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    directory = tmp_path / "repository"
    directory.mkdir()
    return directory


def test_the_priority_decides_and_the_first_line_says_so(repository: Path) -> None:
    put(repository, *(f"binder/{name}" for name in ALL))

    planned = Planned(repository)

    assert planned.plan.dependencies == ("requirements.txt",)
    assert planned.told[0] == (
        "requirements.txt decides what is installed, in binder/; "
        "not used: Dockerfile, environment.yml."
    )


def test_the_operator_may_turn_the_priority_round(repository: Path) -> None:
    put(repository, *ALL)

    planned = Planned(repository, priority=list(reversed(ALL)))

    assert planned.plan.dependencies == ("Dockerfile",)


def test_a_request_names_what_counts_in_its_own_order(repository: Path) -> None:
    put(repository, "requirements.txt", "Dockerfile")

    planned = Planned(repository, ("environment.yml", "Dockerfile", "requirements.txt"))

    assert planned.plan.dependencies == ("Dockerfile",)


def test_a_request_for_what_is_not_there_fails(repository: Path) -> None:
    put(repository, "binder/requirements.txt", "Dockerfile")

    with pytest.raises(BuildFailed, match=r"no environment\.yml or Dockerfile in binder/"):
        Planned(repository, ("environment.yml", "Dockerfile"))


def test_what_merely_goes_with_others_does_not_decide(repository: Path) -> None:
    (repository / "apt.txt").write_text("tree\n")

    with pytest.raises(BuildFailed, match=r"no apt\.txt or \.\./Dockerfile in the repository's"):
        Planned(repository, ("apt.txt", "../Dockerfile"))


def test_without_any_file_the_base_image_gets_the_contents(repository: Path) -> None:
    put(repository, "notebook.ipynb")

    planned = Planned(repository)

    assert planned.plan.dependencies == ()
    assert planned.text == "FROM tmpenv/jupyter\nCOPY --chown=${NB_UID:-1000} . ./\n"
    assert planned.plan.command is None


def test_a_generated_dockerfile_is_shown(repository: Path) -> None:
    put(repository, "requirements.txt")

    planned = Planned(repository)

    assert planned.told[1] == "Dockerfile:"
    assert [line.removeprefix("    ") for line in planned.told[2:]] == planned.text.splitlines()


def test_what_is_installed_stands_before_the_files_and_root_is_left(repository: Path) -> None:
    put(repository, "requirements.txt")
    (repository / "apt.txt").write_text("tree\n")

    text = Planned(repository).text

    order = ["USER root", "-- tree", "USER ${NB_UID:-1000}", "COPY", "--requirement", ". ./"]
    assert sorted(order, key=text.index) == order
    assert text.count("USER") == 2


def test_requirements_that_need_other_files_are_installed_after_them(repository: Path) -> None:
    (repository / "requirements.txt").write_text("-r more.txt\n")

    text = Planned(repository).text

    assert text.index(". ./") < text.index("--requirement requirements.txt")
    assert text.count("COPY") == 1


def test_all_that_decides_is_recorded_in_the_order_of_its_use(repository: Path) -> None:
    put(repository, "environment.yml", "postBuild", "start")
    (repository / "apt.txt").write_text("tree\n")
    (repository / "runtime.txt").write_text("python-3.11\n")

    planned = Planned(repository, base_images={"3.12": "b:12", "3.11": "b:11"})

    used = ("runtime.txt", "apt.txt", "environment.yml", "postBuild")
    assert planned.plan.dependencies == used
    assert planned.text.startswith("FROM b:11\n")
    assert planned.plan.command is not None  # the start takes the image's own away


def test_a_dockerfile_of_the_repositorys_own_is_built_as_it_is(repository: Path) -> None:
    put(repository, "binder/Dockerfile", "binder/apt.txt")

    planned = Planned(repository, command="serve {port}")

    assert planned.plan.context == repository
    assert planned.plan.dockerfile == repository / "binder" / "Dockerfile"
    assert planned.text == "binder/Dockerfile\n"
    assert planned.plan.command == "serve {port}"
    assert planned.told[1] == "A Dockerfile says all by itself: apt.txt not used."


@pytest.mark.parametrize(
    ("text", "used"),
    [
        ("[build-system]\n", ("pyproject.toml",)),
        ("[project]\n", ("pyproject.toml",)),
        ("[tool]\n", ()),
    ],
)
def test_a_pyproject_counts_where_nothing_else_decides(
    repository: Path, text: str, used: tuple[str, ...]
) -> None:
    (repository / "pyproject.toml").write_text(text)

    planned = Planned(repository)

    assert planned.plan.dependencies == used
    assert ("pip install --no-cache-dir --disable-pip-version-check ." in planned.text) is (
        text == "[build-system]\n"
    )


def test_a_pyproject_without_anything_to_install_cannot_be_asked_for(repository: Path) -> None:
    (repository / "pyproject.toml").write_text("[tool.ruff]\n")

    with pytest.raises(BuildFailed, match="neither a project nor a build system"):
        Planned(repository, ("pyproject.toml",))


@given(
    contents=st.fixed_dictionaries(
        {
            name: st.text(st.characters(exclude_categories=["Cs"]))
            for name in ("requirements.txt", "environment.yml", "postBuild", "start", "notebook")
        }
    )
)
def test_nothing_that_a_repository_wrote_gets_into_the_dockerfile(
    tmp_path_factory: pytest.TempPathFactory, contents: dict[str, str]
) -> None:
    repository = tmp_path_factory.mktemp("written")
    for name, text in contents.items():
        (repository / name).write_bytes(f"{text}-planted".encode())

    text = Planned(repository).text

    assert "planted" not in text
    # Only when it is installed depends on what is written.
    kinds = [line.split(maxsplit=1)[0] for line in text.splitlines() if line[0] != " "]
    assert set(kinds) <= {"FROM", "COPY", "RUN", "ENTRYPOINT"}


def test_what_the_network_wants_is_given_as_secrets_and_arguments(
    repository: Path, tmp_path: Path
) -> None:
    put(repository, "requirements.txt", "postBuild")
    bundle = tmp_path / "ca.pem"
    bundle.write_text("authority")

    planned = Planned(
        repository,
        ca_bundle=bundle,
        pip_index_url="https://u:mark@pypi.example.org/simple",
        npm_registry="https://npm.example.org/mark/",
        conda_channels=["https://conda.example.org/mark"],
        http_proxy="http://u:mark@proxy.example.org",
        no_proxy=["localhost", ".example.org"],
    )

    secrets = {name: file.read_text() for name, file in planned.plan.secrets.items()}
    assert secrets == {
        "tmpenv-ca": "authority",
        "tmpenv-pip": "[global]\nindex-url = https://u:mark@pypi.example.org/simple\n",
        "tmpenv-npm": "registry=https://npm.example.org/mark/\n",
        "tmpenv-conda": '{"channels": ["https://conda.example.org/mark"]}\n',
    }
    assert planned.plan.arguments == {
        "HTTP_PROXY": "http://u:mark@proxy.example.org",
        "NO_PROXY": "localhost,.example.org",
    }
    assert {file.stat().st_mode & 0o777 for file in planned.plan.secrets.values()} == {0o600}
    assert "mark" not in "\n".join([planned.text, *planned.told])


def test_what_this_machine_has_is_not_given_to_builds(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "https_proxy", "PIP_INDEX_URL", "SSL_CERT_FILE"):
        monkeypatch.setitem(os.environ, name, "http://machine.example.org")
    put(repository, "requirements.txt")

    planned = Planned(repository)

    assert (dict(planned.plan.secrets), dict(planned.plan.arguments)) == ({}, {})
    assert "mount" not in planned.text


def test_a_bundle_that_cannot_be_read_fails_the_build_without_its_path(repository: Path) -> None:
    with pytest.raises(BuildFailed) as raised:
        Planned(repository, ca_bundle="/nowhere/ca.pem")

    assert "build.ca_bundle" in str(raised.value)
    assert "/nowhere" not in str(raised.value)


def test_the_settings_choose_the_planner() -> None:
    assert isinstance(planner_for(BuildSettings()), FilePlanner)
    assert isinstance(planner_for(BuildSettings(builder="repo2docker")), Repo2dockerPlanner)
