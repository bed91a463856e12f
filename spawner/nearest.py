"""Find the word that was probably meant. Pure."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Give the known word that was probably meant."""
    found = difflib.get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def meant(word: str, known: Iterable[str], *, listed: bool = True) -> str:
    """Give the end of a sentence: the word that was meant, or else all that there are."""
    known = list(known)
    if found := nearest(word, known):
        return f'; did you mean "{found}"?'
    return f"; known here: {', '.join(known)}" if known and listed else ""
