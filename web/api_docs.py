"""List every operation, from the operations themselves.

``python -m web.api_docs`` prints the table of ``docs/api.md``; a test holds the two
together.
"""

import sys

from web.application import OPERATIONS
from web.operations import Operation
from web.scopes import Scope


def table() -> str:
    """Give the table of ``docs/api.md``."""
    rows = [
        f"| `{one.method} {one.path}` | {_key(one)} | {one.summary.replace('``', '`')} |"
        for one in OPERATIONS
    ]
    return "\n".join(("| call | scope of its key | |", "|---|---|---|", *rows))


def _key(one: Operation) -> str:
    if one.scope is None:
        return ""
    return "any" if one.scope is Scope.READ else f"`{one.scope}`"


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
