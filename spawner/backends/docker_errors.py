"""Turn what Docker's SDK raises into the failures that callers tell apart.

The rule: an answer of the 4xx kind is the daemon's word on the request, and
its caller decides what it means. Everything else (5xx, a timeout, a broken
connection, no socket) means that nothing is known.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from docker.errors import APIError, DockerException
from urllib3.exceptions import HTTPError

from spawner.errors import BackendForbidden, BackendUnavailable

_LONGEST = 400


def status_of(error: APIError) -> int:
    """Give the HTTP status of an answer."""
    return error.response.status_code if error.response is not None else 0


def words_of(error: APIError) -> str:
    """Give the daemon's own words in one line."""
    return one_line(str(error.explanation or error))


def one_line(text: str) -> str:
    """Fold white space, and cut what is too long to be read."""
    folded = " ".join(text.split())
    return folded if len(folded) <= _LONGEST else folded[: _LONGEST - 1] + "…"


@contextmanager
def asking() -> Iterator[None]:
    """Raise what a call to the daemon means if it gave no answer; let 4xx answers through.

    Raises:
        BackendUnavailable: Nothing is known.
        BackendForbidden: The socket may not be opened.
    """
    try:
        yield
    except APIError as error:
        if 400 <= status_of(error) < 500:
            raise
        raise BackendUnavailable(f"Docker failed to answer: {words_of(error)}") from error
    except (DockerException, HTTPError, OSError) as error:
        raise no_answer(error) from error


def no_answer(error: BaseException) -> BackendUnavailable:
    """Say in one line why the daemon gave no answer, and what to do about it."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, PermissionError):
            return BackendForbidden(
                "The Docker socket is forbidden to this user: add the user to the group that "
                'owns it (usually "docker") and log in again, or run tmpenv as root.'
            )
    for cause in causes:
        if isinstance(cause, FileNotFoundError | ConnectionRefusedError):
            return BackendUnavailable(
                "No Docker daemon answers: start it, or set its address (docker url, DOCKER_HOST)."
            )
    return BackendUnavailable(f"Docker does not answer: {one_line(str(error))}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Give an error and all that it wraps: urllib3 and requests keep causes as arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        found = waiting.pop()
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        waiting += [found.__cause__, found.__context__, getattr(found, "reason", None)]
        waiting += found.args
