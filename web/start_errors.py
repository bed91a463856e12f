"""Why tmpenv cannot start: one line each, which says what to do."""

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import typer

from web.config_errors import ConfigError


class StartError(Exception):
    """Something outside is not as it must be; the text says in one line what to do."""

    exit_code = 1


class AskedWrongly(StartError):
    """The command line itself is wrong, as no other time would make right."""

    exit_code = 2


def cannot_listen(
    host: str, port: int, error: OSError, *, host_flag: str = "--host", port_flag: str = "--port"
) -> StartError:
    """Tell why an address cannot be listened on."""
    if error.errno == errno.EADDRINUSE:
        return StartError(
            f"port {port} of {host} is taken by another program; end that one, "
            f"or give another with {port_flag}"
        )
    if error.errno == errno.EACCES:
        return StartError(f"port {port} needs more rights; give one above 1023 with {port_flag}")
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return StartError(f'"{host}" is no address of this machine; give one with {host_flag}')
    return StartError(f"{host}, port {port}, cannot be listened on: {error.strerror}")


def no_redis(url: str) -> StartError:
    """Tell that Redis does not answer, without the password that its address may hold."""
    parts = urlsplit(url)
    place = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
    return StartError(
        f"Redis does not answer at {place}; start it, or give another with --redis-url "
        "(without one, tmpenv runs its own)"
    )


def no_workers() -> StartError:
    """Tell that the processes of the data path do not come up."""
    return StartError(
        "a process of the data path ended as it started; the log says why "
        "(--proxy-workers 1 does without them)"
    )


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """End with what went wrong on standard error: 2 for what was asked wrongly, else 1."""
    try:
        yield
    except ConfigError as error:
        typer.echo("\n".join(error.lines), err=True)
        sys.exit(2)
    except StartError as error:
        typer.echo(f"tmpenv: {error}", err=True)
        sys.exit(error.exit_code)
