"""What docs/security.md promises and the tests that hold it name each other."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
DOCUMENT = TESTS.parent / "docs" / "security.md"
_NAME = re.compile(r"`(test_\w+)`")
_LINK = re.compile(r"\]\(([\w.]*)#([\w-]+)\)")


def names_in(*paths: Path) -> set[str]:
    """Return the names of the tests that are defined in these files."""
    return {
        node.name
        for path in paths
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def rows() -> list[list[str]]:
    """Return the cells of the table of threats."""
    table = DOCUMENT.read_text().split("|---|---|---|---|\n")[1].split("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def anchors(document: Path) -> set[str]:
    """Return what links within a document may name, as GitHub makes it of its headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_promise_is_held_by_tests_that_there_are() -> None:
    there = names_in(*TESTS.rglob("test_*.py"))

    assert len(rows()) > 10
    for row in rows():
        assert len(row) == 4, row
        named = _NAME.findall(row[2])
        assert named, f"no test for: {row[0]}"
        assert set(named) <= there, f"no such test: {set(named) - there}"


def test_each_try_from_inside_a_container_is_for_a_promise() -> None:
    named = {name for row in rows() for name in _NAME.findall(row[2])}

    assert names_in(TESTS / "integration" / "test_isolation.py") <= named


def test_links_to_sections_lead_there() -> None:
    links = _LINK.findall(DOCUMENT.read_text())

    assert links
    for document, anchor in links:
        assert anchor in anchors(DOCUMENT.with_name(document) if document else DOCUMENT)
