"""Keep a cookie as a browser does (RFC 6265 §5.1.4, §5.2, §5.3), to judge where it goes."""

from typing import NamedTuple

WSP = b" \t"


class Cookie(NamedTuple):
    """What a browser keeps of a Set-Cookie."""

    sent: bytes  # what it writes into Cookie
    path: bytes
    is_host_only: bool

    def goes_to(self, path: bytes) -> bool:
        """Say whether the cookie is sent with a request for ``path`` (§5.1.4)."""
        return path == self.path or (
            path.startswith(self.path)
            and (self.path.endswith(b"/") or path[len(self.path) : len(self.path) + 1] == b"/")
        )


def store_cookie(set_cookie: bytes, request_path: bytes) -> Cookie | None:
    """Return what is kept of ``set_cookie``, from an answer to ``request_path``; maybe nothing.

    A pair without a name is kept too, as browsers do by now (RFC 6265bis §5.6): it is
    sent as its value alone.
    """
    pair, *attributes = set_cookie.split(b";")
    name, equals, value = pair.partition(b"=")
    if not equals:
        name, value = b"", name
    name, value = name.strip(WSP), value.strip(WSP)
    if not name and not value:
        return None
    path, is_host_only = b"", True
    for attribute in attributes:
        key, _, said = attribute.partition(b"=")
        key, said = key.strip(WSP).lower(), said.strip(WSP)
        if key == b"domain" and said.lstrip(b"."):
            is_host_only = False
        if key == b"path":  # the last one counts, whatever it says
            path = said
    if not path.startswith(b"/"):
        path = default_path(request_path)
    return Cookie(name + b"=" + value if name else value, path, is_host_only)


def default_path(request_path: bytes) -> bytes:
    """Return the path of a cookie that names none (§5.1.4)."""
    path, _, _ = request_path.partition(b"?")
    return path[: path.rindex(b"/")] or b"/"
