"""Make what a build prints fit to be kept and shown. Pure.

The order counts: what draws on a terminal goes first, so that no secret is broken up by
it, then secrets are masked, and only then is a line cut, so that no half of one stays.
"""

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

from spawner.builder.settings import BuildSettings

#: Of one line.
MOST_BYTES = 8 << 10
MASK = "***"
_CUT = " … (cut)"
# Colours, cursor moves and titles of ECMA-48.
_DRAWING = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\-_]?)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def fit(text: str, hide: Callable[[str], str]) -> Iterator[str]:
    """Give the lines of what was told, each fit to be kept."""
    for line in text.split("\n"):
        # What overwrites itself, as a progress bar does, is what it was in the end.
        shown = [part for part in _DRAWING.sub("", line).split("\r") if part]
        yield _cut(hide(_CONTROL.sub("", shown[-1] if shown else "")))


def _cut(line: str) -> str:
    whole = line.encode(errors="replace")
    if len(whole) <= MOST_BYTES:
        return whole.decode()
    return whole[:MOST_BYTES].decode(errors="ignore") + _CUT


def mask_of(settings: BuildSettings, hide: Callable[[str], str]) -> Callable[[str], str]:
    """Give what masks every secret of the settings, and all that ``hide`` masks."""
    # The longest first, so that no part of it keeps the rest from being found.
    secrets = sorted(_secrets(settings), key=len, reverse=True)

    def mask(text: str) -> str:
        for secret in secrets:
            text = text.replace(secret, MASK)
        return hide(text)

    return mask


def _secrets(settings: BuildSettings) -> set[str]:
    found: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            found.update(_forms(value.get_secret_value()))
    return found - {""}


def _forms(secret: str) -> Iterator[str]:
    """Give a secret as programs may print it: an address with the password in any writing."""
    yield secret
    if "://" in secret and (password := urlsplit(secret).password):
        yield from (password, unquote(password), quote(unquote(password), safe=""))
