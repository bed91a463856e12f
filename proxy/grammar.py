"""Spell the grammar that both heads share (RFC 9110 §5, RFC 9112 §5).

Inside this package a header block is the bytes between the first line's end and
the empty line: each header line *preceded* by CRLF. So a line can be cut out or
added without looking at its neighbours.
"""

import re
from collections.abc import Collection, Iterable
from functools import lru_cache

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
VALUE = rb"[\t\x20-\x7e\x80-\xff]"

# Obs-fold, a space before the colon, bare CR or LF and NUL all fail here.
BLOCK = re.compile(rb"(?:\r\n" + TOKEN + rb"++:" + VALUE + rb"*+)*+")
_MAX_LENGTH_DIGITS = 18

# RFC 9110 §7.6.1; Transfer-Encoding is dropped here and written anew.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
# Options of Connection that name no header.
USUAL_OPTIONS = frozenset((b"close", b"keep-alive", b"upgrade", b""))
# Named in Connection, these would change the message's meaning for the next hop.
_NEVER_NAMED = frozenset(
    (
        b"authorization",
        b"content-length",
        b"cookie",
        b"host",
        b"transfer-encoding",
        b"set-cookie",
    )
)


def line_finder(names: Iterable[bytes]) -> re.Pattern[bytes]:
    """Return a pattern that finds the lines of ``names`` in a lower-cased block.

    Group 1 is the name, group 2 the raw value. Names that end in ``*`` match
    any name with that beginning.
    """
    by_letter: dict[bytes, list[bytes]] = {}
    for name in sorted(names):
        pattern = re.escape(name).replace(rb"\*", TOKEN + b"*+")
        by_letter.setdefault(name[:1], []).append(pattern[1:])
    letters = b"".join(by_letter)
    branches = b"|".join(
        letter + b"(?:" + b"|".join(tails) + b")" for letter, tails in by_letter.items()
    )
    # The look-ahead skips most lines by their first letter: half the time of the search.
    return re.compile(rb"\r\n(?=[" + letters + rb"])(" + branches + rb"):(" + VALUE + rb"*+)")


def find(finder: re.Pattern[bytes], lowered: bytes) -> dict[bytes, bytes]:
    """Return the lines that ``finder`` finds; the values of a repeated name are joined.

    A header that must not be a list is thus refused by its value's own grammar.
    """
    pairs = finder.findall(lowered)
    found: dict[bytes, bytes] = dict(pairs)
    if len(found) != len(pairs):
        for name in found:
            found[name] = b",".join([value for other, value in pairs if other == name])
    return found


def has_stray_line_end(data: bytes) -> bool:
    """Say whether a CR or LF in ``data`` ends no line; a CR at its very end may yet.

    They are counted, because a head that dribbles is looked at again with each byte.
    """
    whole = data.count(b"\r\n")
    return not data.count(b"\n") == whole == data.count(b"\r") - data.endswith(b"\r")


def read_length(value: bytes) -> int | None:
    """Return the number in a Content-Length, None if it is not one or too large."""
    value = value.strip(b" \t")
    return int(value) if value.isdigit() and len(value) <= _MAX_LENGTH_DIGITS else None


@lru_cache(maxsize=64)
def options(value: bytes) -> frozenset[bytes]:
    """Return the members of a comma-separated list, which is in lower case."""
    return frozenset(option.strip(b" \t") for option in value.split(b","))


def without_lines(block: bytes, lowered: bytes, names: Collection[bytes]) -> bytes:
    """Return ``block`` without the lines of ``names``."""
    spans: list[tuple[int, int]] = []
    for name in names:
        needle = b"\r\n" + name + b":"
        start = lowered.find(needle)
        while start >= 0:
            end = lowered.find(b"\r\n", start + 2)
            if end < 0:
                end = len(lowered)
            spans.append((start, end))
            start = lowered.find(needle, end)
    if len(spans) == 1:
        start, end = spans[0]
        return block[:start] + block[end:]
    return _without(block, sorted(spans))


def _without(block: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    kept: list[bytes] = []
    position = 0
    for start, end in spans:
        kept.append(block[position:start])
        position = end
    kept.append(block[position:])
    return b"".join(kept)


def named_by(connection: frozenset[bytes]) -> frozenset[bytes]:
    """Return the headers that a Connection header removes."""
    return connection - USUAL_OPTIONS - _NEVER_NAMED
