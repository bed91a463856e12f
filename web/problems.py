"""What a failure means in HTTP: the one place where codes become statuses.

The core raises :class:`~spawner.errors.ServiceError`, whose text may be told
to anybody; handlers raise :class:`RequestRefused` for what is wrong with the
request itself. Anything else is an internal error, of which nothing is told.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from spawner.errors import Limited, ServiceError

_STATUS = {
    "store_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "backend_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "backend_forbidden": HTTPStatus.SERVICE_UNAVAILABLE,
    "image_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "start_failed": HTTPStatus.SERVICE_UNAVAILABLE,
    "stop_failed": HTTPStatus.SERVICE_UNAVAILABLE,
    "unknown_template": HTTPStatus.NOT_FOUND,
    "template_declared": HTTPStatus.CONFLICT,
    "template_changed": HTTPStatus.CONFLICT,
    "unsupported_service": HTTPStatus.UNPROCESSABLE_ENTITY,
    "gone": HTTPStatus.GONE,
    "full": HTTPStatus.TOO_MANY_REQUESTS,
    "limited": HTTPStatus.TOO_MANY_REQUESTS,
    "banned": HTTPStatus.FORBIDDEN,
    "failing": HTTPStatus.SERVICE_UNAVAILABLE,
    "draining": HTTPStatus.SERVICE_UNAVAILABLE,
    "launch_timeout": HTTPStatus.SERVICE_UNAVAILABLE,
    "launch_lapsed": HTTPStatus.GONE,
    "key_reused": HTTPStatus.UNPROCESSABLE_ENTITY,
    "key_exists": HTTPStatus.CONFLICT,
    "unknown_key": HTTPStatus.NOT_FOUND,
    "already_building": HTTPStatus.CONFLICT,
    "queue_full": HTTPStatus.TOO_MANY_REQUESTS,
    "bad_source": HTTPStatus.UNPROCESSABLE_ENTITY,
    "source_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "build_failed": HTTPStatus.UNPROCESSABLE_ENTITY,
}
#: Without a spread, everybody who was turned away would come back at one instant.
SPREAD = 0.5
_RETRIED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_DEFAULT_RETRY = timedelta(seconds=5)


class RequestRefused(Exception):
    """A request that cannot be served as it is."""

    def __init__(self, status: HTTPStatus, code: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure as it is told."""

    status: HTTPStatus
    code: str
    text: str
    #: Whole seconds, already spread; None where trying again is no use.
    retry_after_s: int | None = None
    #: Which limit is reached, if it is one.
    limit: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """Give the headers that go with it."""
        headers = {"Cache-Control": "no-store"}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        return headers

    @property
    def body(self) -> dict[str, str]:
        """Give it as JSON."""
        body = {"type": self.code, "error": self.text}
        # What tmpnb's clients look for (they read nothing else).
        if self.limit:
            body["limit"] = self.limit
        return {"status": "full", **body} if self.code in ("full", "limited") else body


def problem_of(
    error: ServiceError | RequestRefused, chance: Callable[[], float] = random.random
) -> Problem:
    """Say what a failure means in HTTP."""
    if isinstance(error, RequestRefused):
        return Problem(error.status, error.code, str(error))
    status = _STATUS.get(error.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    if status not in _RETRIED:
        return Problem(status, error.code, str(error))
    seconds = (error.retry_after or _DEFAULT_RETRY).total_seconds()
    limited = error if isinstance(error, Limited) else None
    # A wait that is one caller's own is told as long as it is.
    spread = 0.0 if limited and limited.is_exact else SPREAD * chance()
    told = math.ceil(max(seconds, 1.0) * (1 + spread))
    return Problem(status, error.code, str(error), told, limited.limit if limited else "")


def bad_request(text: str, code: str = "bad_request") -> RequestRefused:
    """Make the refusal of a malformed request."""
    return RequestRefused(HTTPStatus.BAD_REQUEST, code, text)


def denied(text: str = "This needs the API key.") -> RequestRefused:
    """Make the refusal of who may not."""
    return RequestRefused(HTTPStatus.FORBIDDEN, "forbidden", text)
