"""Read which submodules a commit has, and where each lies: pure."""

import re
from dataclasses import dataclass
from urllib.parse import urljoin

_KEY = re.compile(r"submodule\.(?P<name>.+)\.(?P<key>path|url)")


@dataclass(frozen=True, slots=True)
class Submodule:
    """One as ``.gitmodules`` names it."""

    path: str
    url: str


def read(listed: str) -> list[Submodule]:
    """Read what ``git config --null --get-regexp`` prints of ``.gitmodules``."""
    named: dict[str, dict[str, str]] = {}
    for entry in listed.split("\0"):
        key, _, value = entry.partition("\n")
        if found := _KEY.fullmatch(key):
            named.setdefault(found["name"], {})[found["key"]] = value
    return [Submodule(**one) for one in named.values() if {"path", "url"} <= one.keys()]


def commit_of(submodule: Submodule, shown: str) -> str:
    """Read its commit of what ``git ls-tree -z`` prints; empty if the commit has none there."""
    facts, _, path = shown.partition("\0")[0].partition("\t")
    words = facts.split()
    is_one = len(words) == 3 and words[1] == "commit" and path == submodule.path
    return words[2] if is_one else ""


def address_of(submodule: Submodule, parent: str) -> str:
    """Give its address, which may be told by that of the repository it is part of."""
    if submodule.url.startswith(("./", "../")):
        return urljoin(f"{parent.rstrip('/')}/", submodule.url)
    return submodule.url
