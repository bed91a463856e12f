"""Tell whose host a request names, where each environment has one of its own. Pure.

An environment's host is ``<id>.<domain>``. A browser gives each host an origin of
its own: this is what keeps environments apart there, and no path does. The domain
itself, and every name that is not below it, is the service's.
"""

import re

from proxy.errors import Refusal, bad_request

# RFC 1034 §3.5; ids are made of letters and digits (spawner/identity.py).
_LABEL = re.compile(rb"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?")
_PORT = re.compile(rb":[0-9]+\Z")
_AUTHORITY = re.compile(rb"https?://([^/?]*)", re.IGNORECASE)


class EnvironmentHosts:
    """The hosts below one domain, which is in lower case."""

    def __init__(self, domain: str, service_origin: str = "") -> None:
        """Without ``service_origin`` the service's pages are found at the domain itself."""
        self._domain = domain.encode()
        self._ending = b"." + self._domain
        self._service_origin = service_origin

    def environment_at(self, host: bytes) -> bytes | None:
        """Return the id that ``host`` names, None if it is the service's.

        Raises:
            Refusal: 404 for a host below the domain that can be no environment's.
        """
        name = host_name(host)
        if not name.endswith(self._ending):
            return None
        label = name[: -len(self._ending)]
        if not _LABEL.fullmatch(label):
            raise Refusal(404, "not_found", "There can be no environment of that name.")
        return label

    def host_of(self, environment_id: bytes, seen_host: bytes) -> bytes:
        """Return an environment's host for a visitor who sees the service at ``seen_host``."""
        return environment_id + self._ending + _port(seen_host)

    def name_of(self, environment_id: bytes) -> bytes:
        """Return the name of an environment's host, without a port."""
        return environment_id + self._ending

    def service_seen_from(self, scheme: bytes, seen_host: bytes) -> str:
        """Return the service's origin for a visitor who sees an environment at ``seen_host``."""
        if self._service_origin:
            return self._service_origin
        scheme = b"https" if scheme == b"https" else b"http"
        return (scheme + b"://" + self._domain + _port(seen_host)).decode()


def host_name(host: bytes) -> bytes:
    """Return the name in a Host header, in the one form that is compared."""
    name, colon, port = host.rpartition(b":")
    if not colon or (port and not port.isdigit()):
        name = host
    return name.removesuffix(b".").lower()


def check_authority(target: bytes, host: bytes) -> None:
    """Refuse a request whose target names another host than its Host header.

    RFC 9112 §3.2.2 has the target's count. Whoever is behind us may go by the
    other, so where hosts decide, both must be the same.

    Raises:
        Refusal: 400.
    """
    named = _AUTHORITY.match(target)
    if named is not None and host_name(named[1]) != host_name(host):
        raise bad_request("The request's target and its Host name different hosts.")


def _port(host: bytes) -> bytes:
    """Return the port in a Host header with its colon, or nothing."""
    found = _PORT.search(host)
    return found[0] if found else b""
