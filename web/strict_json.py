"""Read JSON that means one thing, and that nothing behind it can stumble over.

``json`` takes more than RFC 8259 does, and what it gives is not always text: NaN,
infinities, names that stand twice, halves of characters. A NUL can neither be a
program's argument nor part of an environment's variable. All of it is refused here.
"""

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn

# As it is written again; with another backslash before it, it is text that looks so.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class NotJsonError(ValueError):
    """What was read is no JSON, or none that may be used; the text says why."""


def parse(raw: bytes) -> Any:
    """Read a JSON document in UTF-8.

    Raises:
        NotJsonError: It is none.
    """
    try:
        value = json.loads(raw.decode(), parse_constant=_refuse, object_pairs_hook=_once)
        # Written again to find what cannot be: infinities (1e999), halves of characters.
        told = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except NotJsonError:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJsonError("The body is no JSON.") from error
    if _NUL.search(told):
        raise NotJsonError("The body has a NUL in a text.")
    return value


def _refuse(constant: str) -> NoReturn:
    raise NotJsonError(f"The body is no JSON: {constant} is no number.")


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name in given:
            raise NotJsonError(f"The body names {json.dumps(name[:80])} twice.")
        given[name] = value
    return given
