"""What the documentation names is there: commands, flags, settings, files and headings."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from proxy.settings import ProxySettings
from spawner.model import Pool, Template
from spawner.services import ServiceRecipe
from tests.command import ROOT
from web.cli import app
from web.config import Settings

DOCS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_VARIABLE = re.compile(r"\bTMPENV_[A-Z][A-Z0-9_]*[A-Z0-9]\b")
#: At the beginning, after a prompt, variables and a path.
_COMMAND = re.compile(
    r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\S*/)?tmpenv ([a-z][a-z-]*(?: [a-z][a-z-]*)?)(?![\w:])(.*)"
)
#: What environments are told, and where settings are read from.
_NOT_SETTINGS = {"ID", "BASE_PATH", "IP", "PORT", "TOKEN", "CONFIG", "SERVER"}

#: Tables of tables, by names of the operator's own.
_NAMED = {"templates": Template, "pools": Pool, "services": ServiceRecipe}


@pytest.fixture(params=DOCS, ids=lambda path: path.name)
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def commands() -> dict[str, Any]:
    """Give the flags of every command, by its name; of a group's by both names."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", None)
        for below, one in (inner or {"": command}).items():
            flags = {flag for each in one.params for flag in (*each.opts, *each.secondary_opts)}
            found[f"{name} {below}".strip()] = flags | {"--help"}
        if inner:
            found[name] = {"--help"}
    return found


def code(text: str) -> Iterator[str]:
    """Give what is written as code: spans, indented lines and fences but for those of TOML."""
    for language, body in _FENCE.findall(text):
        if language not in ("toml", "python"):
            yield from body.splitlines()
    plain = _FENCE.sub("", text)
    for line in plain.splitlines():
        if line.startswith("    "):
            yield line
        yield from re.findall(r"`([^`]+)`", line)


def named_commands(text: str) -> Iterator[tuple[str, list[str]]]:
    known = commands()
    for span in code(text):
        for words, rest in _COMMAND.findall(span.split(" #")[0]):
            first = words.split()[0]
            name = words if words in known else first
            yield name, re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)


def headings(path: Path) -> set[str]:
    """Give the anchors of a page, as GitHub makes them."""
    plain = _FENCE.sub("", path.read_text())
    found = re.findall(r"^#+ (.+)$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in found}


def is_setting(keys: list[str]) -> bool:
    """Say whether a variable's keys lead to a setting."""
    top = keys[0].removesuffix("_file")
    if top not in Settings.model_fields or len(keys) == 1:
        return top in Settings.model_fields
    if top in _NAMED:
        model: Any = _NAMED[top]
        return len(keys) < 3 or keys[2] in model.model_fields
    inner = Settings.model_fields[top].annotation
    return keys[1].removesuffix("_file") in getattr(inner, "model_fields", {})


def strange_keys(table: dict[str, Any]) -> set[str]:
    """Give the keys of an example that are no settings."""
    found = set()
    for key, value in table.items():
        if key not in Settings.model_fields:
            found.add(key)
        elif key in _NAMED:
            model: Any = _NAMED[key]
            found |= {each for one in value.values() for each in one} - set(model.model_fields)
        elif isinstance(value, dict):
            model = Settings.model_fields[key].annotation
            found |= set(value) - set(model.model_fields)
    return found


def test_every_command_and_flag_that_is_named_exists(page: Path) -> None:
    known = commands()

    strange = [
        f"tmpenv {name} {' '.join(flags)}"
        for name, flags in named_commands(page.read_text())
        if name not in known or not known[name] >= set(flags)
    ]

    assert not strange


def test_every_variable_that_is_named_is_a_setting(page: Path) -> None:
    named = {name.removeprefix("TMPENV_") for name in _VARIABLE.findall(page.read_text())}

    strange = [
        name
        for name in named - _NOT_SETTINGS
        if not is_setting([part.lower() for part in name.split("__")])
    ]

    assert not strange


def test_every_example_of_settings_has_known_keys(page: Path) -> None:
    examples = [body for kind, body in _FENCE.findall(page.read_text()) if kind == "toml"]

    strange = [strange_keys(tomllib.loads(example)) for example in examples]

    assert not any(strange)


def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        target, _, anchor = link.partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        is_there = path.exists() and (not anchor or anchor in headings(path))
        if not is_there:
            broken.append(link)

    assert not broken


def test_the_commands_of_the_text_are_found() -> None:
    text = "Run `tmpenv pools plan --rate 3/min` and\n\n    $ tmpenv serv --porst 1  # no such\n"

    assert list(named_commands(text)) == [("pools plan", ["--rate"]), ("serv", ["--porst"])]
    assert strange_keys({"culling": {"idle_timout": 1}, "prot": 1}) == {"idle_timout", "prot"}
    assert not is_setting(["culling", "idle_timout"])
    assert "drain_timeout_s" in ProxySettings.model_fields
