"""Spell the grammar that both heads share (RFC 9110 §5, RFC 9112 §5).

Inside this package a header block is the bytes between the first line's end and
the empty line: each header line *preceded* by CRLF. So a line can be cut out or
added without looking at its neighbours.
"""

import re
from collections.abc import Iterable

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
VALUE = rb"[\t\x20-\x7e\x80-\xff]"

# Obs-fold, a space before the colon, bare CR or LF and NUL all fail here.
BLOCK = re.compile(rb"(?:\r\n" + TOKEN + rb"++:" + VALUE + rb"*+)*+")
LENGTH = re.compile(rb"[0-9]{1,18}")

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


def options(values: Iterable[bytes]) -> set[bytes]:
    """Return the lower-case members of comma-separated lists."""
    return {option.strip(b" \t").lower() for value in values for option in value.split(b",")}


def without(block: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """Return ``block`` without the ``spans``, which are in order."""
    kept: list[bytes] = []
    position = 0
    for start, end in spans:
        kept.append(block[position:start])
        position = end
    kept.append(block[position:])
    return b"".join(kept)


def without_named(block: bytes, connection_options: set[bytes]) -> bytes:
    """Return ``block`` without the headers that Connection named."""
    names = connection_options - {b"close", b"keep-alive", b"upgrade", b""} - _NEVER_NAMED
    if not names:
        return block
    lines = block.split(b"\r\n")
    return b"\r\n".join(line for line in lines if line.partition(b":")[0].lower() not in names)
