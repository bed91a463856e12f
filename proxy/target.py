"""Decide whose a request target is, from its raw bytes.

Environments are found under ``<mount>user/<id>``, where the mount is the path
under which the whole service is found: ``/``, or ``/lab1/``.

Nothing is decoded, so that the path that was matched is, byte for byte, the
path that is forwarded. What could mean something else to whoever decodes it
later (dot segments, broken escapes, NUL) is refused here.
"""

import re
from typing import NamedTuple

from proxy.errors import Refusal, bad_request

_ID = rb"[A-Za-z0-9][A-Za-z0-9_.\-]{0,63}+"
_REST = rb"((?:/[^?]*+)?+)(?:\?.*)?+\Z"
_ID_ALONE = re.compile(_ID + rb"\Z")
# Without user and password, which no request may carry (RFC 9110 §4.2.4).
_ABSOLUTE = re.compile(rb"https?://[A-Za-z0-9._~%!$&'()*+,;=:\[\]\-]++(?=[/?]|\Z)", re.IGNORECASE)
_SLASHES = re.compile(rb"//+")

# An encoded slash counts as a boundary too: somebody behind us may decode it.
_DOT_SEGMENT = re.compile(rb"(?:/|%2f)(?:\.|%2e){1,2}(?=/|%2f|\Z)", re.IGNORECASE)
_BAD_ESCAPE = re.compile(rb"%(?:00|(?![0-9A-Fa-f]{2}))")


class Destination(NamedTuple):
    """Where a request goes, and the target that is sent there."""

    target: bytes  # origin-form, as it is forwarded
    environment_id: bytes  # empty: the application
    rest: bytes  # the path after user/<id>; the whole path where it has no such beginning


class TargetReader:
    """Reads request targets of a service under ``mount``, which begins and ends with a slash."""

    def __init__(self, mount: bytes = b"/") -> None:
        self._mount = mount
        #: What comes before an environment's id.
        self.environments = mount + b"user/"
        pattern = re.escape(self.environments) + rb"(" + _ID + rb")" + _REST
        self._match = re.compile(pattern, re.DOTALL).match

    def read(self, target: bytes) -> Destination:
        """Return the destination of ``target``.

        Raises:
            Refusal: 400 for what no one may interpret, 404 for an id that cannot be.
        """
        match = self._match(target)
        if match is None:
            return self._read_unusual(target)
        environment_id, rest = match.groups()
        if b"%" in rest or b"/." in rest:
            _check_path(rest)
        return Destination(target, environment_id, rest)

    def _read_unusual(self, target: bytes) -> Destination:
        target, path = read_origin(target)
        if path.startswith(self._mount + b"/"):
            target, path = _merge_slashes(target)
        if not path.startswith(self.environments) or path == self.environments:
            return Destination(target, b"", path)
        environment_id, slash, rest = path[len(self.environments) :].partition(b"/")
        if not _ID_ALONE.match(environment_id):
            raise Refusal(404, "not_found", "There can be no environment of that name.")
        return Destination(target, environment_id, slash + rest)


def read_origin(target: bytes) -> tuple[bytes, bytes]:
    """Return ``target`` in the form in which it is forwarded, and its path.

    Raises:
        Refusal: 400 for what no one may interpret.
    """
    if absolute := _ABSOLUTE.match(target):
        target = target[absolute.end() :]
        if not target.startswith(b"/"):
            target = b"/" + target
    if not target.startswith(b"/"):
        raise bad_request("The request target is not a path.")
    path = target.partition(b"?")[0]
    if path.startswith(b"//"):
        target, path = _merge_slashes(target)
    if b"%" in path or b"/." in path:
        _check_path(path)
    return target, path


def read_on_own_host(target: bytes, environment_id: bytes, prefix: bytes) -> Destination:
    """Return the destination of ``target`` where every path is one environment's.

    Raises:
        Refusal: 400 for what no one may interpret.
    """
    target, path = read_origin(target)
    rest = path[len(prefix) :]
    if not path.startswith(prefix) or (rest and not rest.startswith(b"/")):
        rest = path
    return Destination(target, environment_id, rest)


def _merge_slashes(target: bytes) -> tuple[bytes, bytes]:
    path, mark, query = target.partition(b"?")
    path = _SLASHES.sub(b"/", path)
    return path + mark + query, path


def _check_path(path: bytes) -> None:
    if _DOT_SEGMENT.search(path):
        raise bad_request("The path has a dot segment.")
    if _BAD_ESCAPE.search(path):
        raise bad_request("The path has a malformed escape.")
