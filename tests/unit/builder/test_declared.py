"""What apt.txt, runtime.txt, pyproject.toml and requirements declare."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spawner.builder.declared import (
    base_image,
    debian_packages,
    environment_refers_to_files,
    project_kind,
    refers_to_files,
)
from spawner.errors import BuildFailed

IMAGES = {"3.12": "base:3.12", "3.11": "base:3.11"}


def test_packages_are_read_with_comments_and_each_once() -> None:
    text = "# tools\ntree g++\n\nlibfoo0.1=1:2.0~rc1-3 # pinned\ntree\r\nlibc6:i386\n"

    assert debian_packages(text) == ("tree", "g++", "libfoo0.1=1:2.0~rc1-3", "libc6:i386")


@pytest.mark.parametrize(
    "word", ["--allow", "-o", "tree;id", "$(id)", "tree-", "a", "Tree", "`id`", "&&", "x\\", "ü"]
)
def test_what_is_no_package_is_refused(word: str) -> None:
    with pytest.raises(BuildFailed, match="is not the name of a package"):
        debian_packages(f"tree\n{word}\n")


@given(st.text())
def test_no_text_gets_more_than_names_through(text: str) -> None:
    try:
        packages = debian_packages(text)
    except BuildFailed:
        return

    assert all(re.fullmatch(r"[a-z0-9][A-Za-z0-9.+:=~-]+", package) for package in packages)


@pytest.mark.parametrize(
    ("text", "image"),
    [
        (None, "base:3.12"),
        ("python-3.11\n", "base:3.11"),
        ("python-3.11.4", "base:3.11"),
        ("python-3", "base:3.12"),
    ],
)
def test_runtime_txt_picks_the_base_image(text: str | None, image: str) -> None:
    assert base_image(text, IMAGES) == image


@pytest.mark.parametrize("text", ["python-3.1", "python-2.7", "python-3.13", "r-4.2", "", "3.11"])
def test_an_unknown_version_is_told_with_those_there_are(text: str) -> None:
    with pytest.raises(BuildFailed, match=r"there is python-3\.12, python-3\.11\."):
        base_image(text, IMAGES)


@pytest.mark.parametrize(
    ("requirements", "refers"),
    [
        ("numpy==2.0\npandas>=2 # a/comment\n", False),
        ("--index-url https://pypi.example.org/simple\nsix", False),
        ("git+https://git.example.org/a/b@v1#egg=b", False),
        ("-e git+https://git.example.org/a/b#egg=b", False),
        ("six @ https://files.example.org/six.whl", False),
        ("-r more.txt", True),
        ("--requirement=more.txt", True),
        ("-c constraints.txt", True),
        ("-e .", True),
        ("--editable=.", True),
        (".", True),
        ("./wheels/six.whl", True),
        ("wheels/six.whl", True),
        ("six @ file:///home/jovyan/six", True),
    ],
)
def test_requirements_that_need_other_files_are_known(requirements: str, refers: bool) -> None:
    assert refers_to_files(requirements) is refers


@pytest.mark.parametrize(
    ("entry", "refers"),
    [("  - numpy", False), ("  - pip:\n    - -r more.txt", True), ('- "-e ."', True)],
)
def test_environments_that_need_other_files_are_known(entry: str, refers: bool) -> None:
    text = f"channels: [conda-forge]\ndependencies:\n{entry}\n"

    assert environment_refers_to_files(text) is refers


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('[build-system]\nrequires = ["setuptools"]', "package"),
        ('[project]\nname = "notebooks"', "dependencies"),
        ("[tool.ruff]", None),
        ("", None),
    ],
)
def test_a_pyproject_is_good_for_what_its_tables_say(text: str, kind: str | None) -> None:
    assert project_kind(text) == kind


def test_a_pyproject_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(BuildFailed, match=r"pyproject\.toml cannot be read"):
        project_kind("[project")
