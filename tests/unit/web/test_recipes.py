"""What is run where nothing, or not enough, was configured."""

import os
from pathlib import Path

import pytest

from spawner.model import Pool
from web.banner import public_url
from web.config_errors import ConfigError
from web.config_sources import load
from web.recipes import recipes_for
from web.start_errors import StartError


def test_without_templates_the_image_brings_its_own_command() -> None:
    recipes = recipes_for(load(environ={}), "docker")

    assert recipes.templates["jupyter"].image == "tmpenv/jupyter"
    assert recipes.templates["jupyter"].command is None
    assert recipes.pools["jupyter"] == Pool(size=10, spare=2)


@pytest.fixture
def jupyter_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "jupyter-lab"
    command.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


@pytest.mark.usefixtures("jupyter_on_path")
def test_jupyter_as_a_process_starts_for_root_too() -> None:
    template = recipes_for(load(environ={}), "process").templates["jupyter"]

    assert template.command is not None
    assert "--allow-root" in template.command


def test_the_pool_of_the_built_in_template_can_be_set() -> None:
    settings = load(environ={"TMPENV_POOLS__JUPYTER__SIZE": "3"})

    assert recipes_for(settings, "docker").pools["jupyter"].size == 3


def test_a_process_needs_a_command_and_a_container_an_image() -> None:
    with_image = load(environ={"TMPENV_TEMPLATES__X__IMAGE": "x"})
    with_command = load(environ={"TMPENV_TEMPLATES__X__COMMAND": "run"})

    with pytest.raises(StartError, match=r"templates\.x\.command"):
        recipes_for(with_image, "process")
    with pytest.raises(StartError, match=r"templates\.x\.image"):
        recipes_for(with_command, "docker")


def test_without_egress_a_container_is_not_reached_by_loopback() -> None:
    template = {"TMPENV_TEMPLATES__X__IMAGE": "x", "TMPENV_TEMPLATES__X__EGRESS": "none"}

    with pytest.raises(StartError, match=r'templates\.x\.egress: only "open" can be had'):
        recipes_for(load(environ=template | {"TMPENV_DOCKER__REACH": "loopback"}), "docker")
    assert recipes_for(load(environ=template | {"TMPENV_DOCKER__REACH": "address"}), "docker")


@pytest.mark.parametrize("egress", ["none", '["example.org"]'])
def test_a_process_cannot_be_held_back(egress: str) -> None:
    template = {"TMPENV_TEMPLATES__X__COMMAND": "run", "TMPENV_TEMPLATES__X__EGRESS": egress}

    with pytest.raises(
        StartError, match=r'templates\.x\.egress: only "open" can be had on the pro'
    ):
        recipes_for(load(environ=template), "process")
    with pytest.raises(ConfigError, match=r'EGRESS: only "open" can be had on the process backend'):
        load(environ=template | {"TMPENV_BACKEND": "process"})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:8000/"),
        ("0.0.0.0", "http://localhost:8000/"),
        ("::1", "http://localhost:8000/"),
        ("10.0.0.1", "http://10.0.0.1:8000/"),
        ("fe80::1", "http://[fe80::1]:8000/"),
    ],
)
def test_the_address_that_is_shown_can_be_opened(host: str, url: str) -> None:
    assert public_url(host, 8000) == url
