"""Write the table of what proxies do on the contract into ``docs/proxy.md``.

``python -m tests.integration.proxy.table`` makes it of what is known: of the promises,
and of what :mod:`tests.integration.proxy.peers` found when it was last run. That we keep
them is what the suite shows every time.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.command import ROOT
from tests.integration.proxy.promises import PROMISES, SECTIONS, Promise

DOCUMENT = ROOT / "docs" / "proxy.md"
FOUND = Path(__file__).with_name("peers.json")
#: What follows this line in the document is made here.
START = "<!-- made by python -m tests.integration.proxy.table -->\n"

KEPT, IN_PART, BROKEN, UNTRIED, ABSENT = "kept", "in part", "broken", "untried", "absent"
_SHOWN = {KEPT: "kept", IN_PART: "in part", BROKEN: "**broken**", UNTRIED: "not tried", ABSENT: "–"}
_NAMES = {"nginx": "nginx", "haproxy": "haproxy", "chp": "CHP"}


def table() -> str:
    """Return the table in Markdown."""
    return "\n".join(_lines()) + "\n"


def document(text: str) -> str:
    """Return the document's ``text`` with the table as it should be."""
    before, start, _ = text.partition(START)
    assert start, "the table's place is not marked"
    return before + start + table()


def read_found() -> dict[str, Any]:
    """Return what was found of each peer: its version, and its state for each promise."""
    found: dict[str, Any] = json.loads(FOUND.read_text())
    return found


def _lines() -> Iterator[str]:
    found = read_found()
    yield ""
    names = " | ".join(f"{_NAMES[name]} {peer['version']}" for name, peer in found.items())
    yield f"| | | tmpenv | {names} |"
    yield "|---|---|---|" + "---|" * len(found)
    for number, title in SECTIONS.items():
        yield f"| **{number}** | **{title}** | |" + " |" * len(found)
        for promise in PROMISES:
            if promise.id.startswith(f"{number}."):
                yield _row(promise, found)


def _row(promise: Promise, found: dict[str, Any]) -> str:
    theirs = (_SHOWN[peer["promises"].get(promise.id, ABSENT)] for peer in found.values())
    return f"| {promise.id} | {promise.wording} | {_SHOWN[KEPT]} | {' | '.join(theirs)} |"


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text()))
