"""Take secrets out of what a container printed. Pure."""

from collections.abc import Iterable

_MASK = "***"
#: Anything shorter may well be a word of the output itself.
_SHORTEST_SECRET = 6


def masked(text: str, secrets: Iterable[str]) -> str:
    """Give ``text`` without ``secrets``, the longest first, since one may hold another."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _MASK)
    return text
