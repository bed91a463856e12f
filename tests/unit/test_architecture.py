"""Imports point one way, and each foreign library has one home."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("proxy", "spawner", "culler", "web")
MAY_IMPORT = {
    "spawner": {"spawner"},
    "proxy": {"proxy", "spawner"},
    "culler": {"culler", "spawner"},
    "web": {"web", "proxy", "culler", "spawner"},
}
HOMES = {
    "redis": ("spawner/store/",),
    "docker": ("spawner/backends/docker",),
    "psutil": ("spawner/backends/process", "spawner/store/embedded.py", "spawner/holder.py"),
    "httptools": ("proxy/",),
    "uvloop": ("web/",),
    "jinja2": ("web/",),
    "typer": ("web/",),
    "rich": ("web/",),
    "repo2docker": ("spawner/builder/repo2docker",),
}


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_from_web_to_proxy_and_culler_to_spawner(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]

    roots = {name.split(".")[0] for name in imported(path)}

    assert roots & set(PACKAGES) <= MAY_IMPORT[package]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_foreign_library_is_imported_in_its_home_alone(path: Path) -> None:
    relative = str(path.relative_to(ROOT))

    strays = {
        name
        for name in imported(path)
        for library, homes in HOMES.items()
        if name.split(".")[0] == library and not relative.startswith(homes)
    }

    assert not strays


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_opens_with_a_docstring_and_stays_small(path: Path) -> None:
    text = path.read_text()

    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") < 400


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_function_can_be_seen_at_once(path: Path) -> None:
    found = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert [node.name for node in found if lines_of(node) > 60] == []


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    assert function.end_lineno is not None
    told = ast.get_docstring(function) or ""
    return function.end_lineno - function.lineno + 1 - len(told.splitlines())
