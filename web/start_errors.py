"""Why tmpenv cannot start: one line each, which says what to do."""

import errno
import socket
from urllib.parse import urlsplit


class StartError(Exception):
    """Something outside is not as it must be; the text says in one line what to do."""


def cannot_listen(host: str, port: int, error: OSError) -> StartError:
    """Tell why an address cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return StartError(
            f"port {port} of {host} is taken by another program; end that one, "
            "or give another with --port"
        )
    if error.errno == errno.EACCES:
        return StartError(f"port {port} needs more rights; give one above 1023 with --port")
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return StartError(f'"{host}" is no address of this machine; give one with --host')
    return StartError(f"{host}, port {port}, cannot be listened on: {error.strerror}")


def no_redis(url: str) -> StartError:
    """Tell that Redis does not answer, without the password that its address may hold."""
    parts = urlsplit(url)
    place = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
    return StartError(
        f"Redis does not answer at {place}; start it, or give another with --redis-url "
        "(without one, tmpenv runs its own)"
    )
