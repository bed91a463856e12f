"""What a request says about who makes it: pure readings of its headers.

A launch changes the world on GET, because a link must be enough. So what is
no visit (a prefetch, an image tag, a link checker's HEAD) has to be told from
one, and must not take an environment.
"""

import re
from collections.abc import Mapping

_SPECULATIVE = re.compile(r"\b(prefetch|prerender|preview)\b", re.IGNORECASE)
#: Fetch destinations that show a page to somebody; "empty" is a script's fetch().
_SHOWN = frozenset({"document", "iframe", "frame", "embed", "object", "empty"})
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def is_speculative(headers: Mapping[str, str]) -> bool:
    """Say whether a browser fetches ahead of a click that may never come."""
    return any(
        _SPECULATIVE.search(headers.get(name, "")) is not None
        for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
    )


def is_embedded_resource(headers: Mapping[str, str]) -> bool:
    """Say whether a page fetches this as an image, a script or the like."""
    return headers.get("Sec-Fetch-Dest", "document").lower() not in _SHOWN


def wants_html(accept: str) -> bool:
    """Say whether a page is a better answer than JSON (RFC 9110 §12.5.1).

    Only who names HTML gets it: ``*/*`` comes from scripts.
    """
    weights = dict(map(_weigh, accept.lower().split(",")))
    html = max(weights.get("text/html", 0.0), weights.get("application/xhtml+xml", 0.0))
    return html > 0 and html >= weights.get("application/json", 0.0)


def is_idempotency_key(text: str) -> bool:
    """Say whether an Idempotency-Key is 1 to 255 visible ASCII characters."""
    return _KEY.fullmatch(text) is not None


def presented_key(authorization: str) -> str:
    """Give the key of ``Authorization: <key>``, ``token <key>`` or ``Bearer <key>``.

    The bare form is what Binder's clients send; what has another scheme is no key of ours.
    """
    text = authorization.strip()
    scheme, _, value = text.partition(" ")
    return value.strip() if scheme.lower() in ("token", "bearer") else text


def _weigh(item: str) -> tuple[str, float]:
    name, *parameters = (part.strip() for part in item.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0
