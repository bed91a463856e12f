"""Choose the commit that a ref means among what a repository has: pure.

Git lists every ref that ends in what it was asked for, so ``a/main`` comes with
``main``; only an exact name counts. A branch goes before a tag of its name, and of an
annotated tag the commit is meant that it is on.
"""

import re
from collections.abc import Mapping

_COMMIT = re.compile(r"[0-9a-f]{40}")


def asked(ref: str) -> tuple[str, ...]:
    """Give the names to ask for."""
    if not ref:
        return ("HEAD",)
    return (f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/tags/{ref}^{{}}")


def read(listed: str) -> dict[str, str]:
    """Read what ``git ls-remote`` prints: name → commit."""
    pairs = (line.split("\t") for line in listed.splitlines() if line.count("\t") == 1)
    return {name: commit for commit, name in pairs if _COMMIT.fullmatch(commit)}


def chosen(ref: str, found: Mapping[str, str]) -> str:
    """Give the commit; empty if none is meant."""
    if not ref:
        return found.get("HEAD", "")
    for name in (f"refs/heads/{ref}", f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}"):
        if name in found:
            return found[name]
    return ref.lower() if is_commit(ref) else ""


def is_commit(ref: str) -> bool:
    """Say whether a ref is the full id of a commit."""
    return _COMMIT.fullmatch(ref.lower()) is not None
