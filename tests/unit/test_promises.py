"""The contract of the data path and the tests that hold us to it name each other."""

import ast
from pathlib import Path

from tests.integration.proxy import table
from tests.integration.proxy.promises import BY_ID, PROMISES, promise_of

TESTS = Path(__file__).parents[1]


def ids_in_names() -> set[str]:
    """Return the ids in the names of all tests."""
    names = (
        node.name
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {id_ for name in names if (id_ := promise_of(name))}


def test_each_promise_has_a_test() -> None:
    assert not {promise.id for promise in PROMISES} - ids_in_names()


def test_each_test_with_an_id_is_for_a_promise() -> None:
    assert ids_in_names() <= set(BY_ID)


def test_the_promises_of_a_section_are_numbered_from_one() -> None:
    numbers: dict[str, list[int]] = {}
    for promise in PROMISES:
        section, _, number = promise.id.partition(".")
        numbers.setdefault(section, []).append(int(number))

    for found in numbers.values():
        assert found == list(range(1, len(found) + 1))


def test_the_document_has_the_table_of_what_proxies_do() -> None:
    text = table.DOCUMENT.read_text()

    assert text == table.document(text)


def test_the_table_has_each_promise_once_and_we_keep_it() -> None:
    rows = [line.split(" | ") for line in table.table().splitlines()]
    ours = {row[0].removeprefix("| "): row[2] for row in rows if row[0][2:3].isdigit()}

    assert list(ours) == [promise.id for promise in PROMISES]
    assert set(ours.values()) == {"kept"}
