"""Where inside an environment a link leads; it can never lead outside.

Pure. A link carries ``urlpath=lab/tree/intro.ipynb?reset``, written by
whoever made the link. The result is always below ``/user/<id>/`` for every
reader that comes after: a browser that resolves dot segments and takes a
backslash for a slash, a proxy, a server that decodes the path once more. What
cannot be shown to stay inside is refused, never repaired.
"""

import re
from urllib.parse import quote, unquote

MAX_LENGTH = 4096
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# RFC 3986 §3.3 and §3.4: what may stand unescaped; "%" is kept because what
# is already escaped must not be escaped again.
_PATH_SAFE = "/%:@!$&'()*+,;=~"
_QUERY_SAFE = _PATH_SAFE + "?"


class BadUrlPath(ValueError):
    """A link that cannot be followed; the text says why."""


def inside(base_path: str, urlpath: str, *, parameter: str = "") -> str:
    """Give the URL of ``urlpath`` within ``base_path``, with one more ``parameter`` if any.

    One leading slash is forgiven. Query and fragment are kept.

    Raises:
        BadUrlPath: It would leave the environment, or might.
    """
    if len(urlpath) > MAX_LENGTH:
        raise BadUrlPath(f"The path is longer than {MAX_LENGTH} characters.")
    whole, hash_sign, fragment = urlpath.partition("#")
    path, question_mark, query = whole.partition("?")
    path = _LONE_PERCENT.sub("%25", path.removeprefix("/"))
    _check(path)
    if _CONTROL.search(unquote(query)) or _CONTROL.search(unquote(fragment)):
        raise BadUrlPath("The path holds a control character.")
    query = _LONE_PERCENT.sub("%25", query)
    if parameter:
        query = f"{query}&{parameter}" if query else parameter
        question_mark = "?"
    return (
        base_path
        + _escape(path, _PATH_SAFE)
        + question_mark
        + _escape(query, _QUERY_SAFE)
        + hash_sign
        + _escape(_LONE_PERCENT.sub("%25", fragment), _QUERY_SAFE)
    )


def _escape(text: str, safe: str) -> str:
    # A lone surrogate cannot be encoded at all, so it becomes a question mark.
    return quote(text, safe=safe, errors="replace")


def _check(path: str) -> None:
    """Refuse a path that leaves, read as it is or decoded any number of times."""
    if _SCHEME.match(path.split("/", 1)[0]):
        raise BadUrlPath("The path must be relative; it begins with a scheme.")
    while True:
        _check_as_read(path)
        decoded = unquote(path)
        if decoded == path:
            return
        path = decoded


def _check_as_read(path: str) -> None:
    if _CONTROL.search(path):
        raise BadUrlPath("The path holds a control character.")
    if "\\" in path:
        raise BadUrlPath("The path holds a backslash.")
    if path.startswith("/") or "//" in path:
        raise BadUrlPath("The path holds two slashes in a row.")
    # A server may cut path parameters off a segment ("..;x") before it resolves it.
    if any(part.split(";", 1)[0].strip() in (".", "..") for part in path.split("/")):
        raise BadUrlPath('The path holds a "." or ".." segment.')
