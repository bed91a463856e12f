"""What is written about the interface is true."""

import importlib
import pkgutil
import re
from pathlib import Path

import web.api
import web.dialects
from web.api_docs import table
from web.application import MODULES, OPERATIONS
from web.operations import operations_of

DOCUMENT = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


def test_the_table_is_what_the_operations_say() -> None:
    assert f"\n{table()}\n" in DOCUMENT, "run: python -m web.api_docs"


def test_every_module_with_operations_is_served() -> None:
    modules = {
        importlib.import_module(found.name)
        for package in (web.api, web.dialects)
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    }

    described = {module for module in modules if operations_of(module)}

    assert described - set(MODULES) == set()
    assert len(described) >= 8


def test_every_operation_says_what_it_does() -> None:
    for one in OPERATIONS:
        assert re.fullmatch(r"[A-Z].+\.", one.summary), one.name
