"""Say what the core tells of whoever measures it.

The core tells facts; what they are called and how they are counted is decided by who
implements this. Nothing here waits or fails. A ``template`` is always one that is
configured, or was, so that nobody can make up names by asking for them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Protocol

from spawner.errors import ServiceError

#: How a visitor came to an environment: there was one, or it was started for them.
Way = Literal["spare", "launched"]
#: Why a visitor got none.
Refusal = Literal["full", "limited", "error"]
Operation = Literal["start", "stop", "prepare"]
#: A start that nobody carries on; an environment that is not there; one without a record.
Finding = Literal["orphan", "missing", "stray"]

_REFUSALS: dict[str, Refusal | None] = {
    "full": "full",
    "limited": "limited",
    "banned": "limited",
    # What the caller asked for cannot be: nothing was refused to them.
    "unknown_template": None,
    "gone": None,
    "key_reused": None,
    # Nobody waited any more, or it was refused elsewhere, and counted there.
    "launch_lapsed": None,
    # The operator wants it so.
    "draining": None,
}


class Recorder(Protocol):
    """Whoever measures."""

    def handed_out(self, template: str, way: Way, took_s: float) -> None:
        """Hear that a visitor has an environment, and how long after asking."""

    def refused(self, template: str, why: Refusal) -> None:
        """Hear that a visitor got none."""

    def became_ready(self, template: str, took_s: float) -> None:
        """Hear that an environment answers, and how long after its record was made."""

    def failed_to_start(self, template: str) -> None:
        """Hear that an environment did not become ready."""

    def culled(self, template: str, reason: str) -> None:
        """Hear that an environment was ended because nobody needs it, or it takes too much."""

    def found(self, finding: Finding, number: int = 1) -> None:
        """Hear of what store and backend did not agree on."""

    def built(self, outcome: str, took_s: float) -> None:
        """Hear that a build ended, and how long after it was asked for."""

    def backend_did(self, operation: Operation, took_s: float) -> None:
        """Hear that the backend did something, and how long it took."""

    def backend_failed(self, code: str) -> None:
        """Hear that the backend could not be asked or did not do it, by the error's code."""

    def store_answered(self, took_s: float) -> None:
        """Hear how long an answer of the store took."""

    def store_failed(self) -> None:
        """Hear that the store gave none."""


class Unrecorded:
    """Measures nothing."""

    def handed_out(self, template: str, way: Way, took_s: float) -> None:
        """Ignore it."""

    def refused(self, template: str, why: Refusal) -> None:
        """Ignore it."""

    def became_ready(self, template: str, took_s: float) -> None:
        """Ignore it."""

    def failed_to_start(self, template: str) -> None:
        """Ignore it."""

    def culled(self, template: str, reason: str) -> None:
        """Ignore it."""

    def found(self, finding: Finding, number: int = 1) -> None:
        """Ignore it."""

    def built(self, outcome: str, took_s: float) -> None:
        """Ignore it."""

    def backend_did(self, operation: Operation, took_s: float) -> None:
        """Ignore it."""

    def backend_failed(self, code: str) -> None:
        """Ignore it."""

    def store_answered(self, took_s: float) -> None:
        """Ignore it."""

    def store_failed(self) -> None:
        """Ignore it."""


UNRECORDED = Unrecorded()


@contextmanager
def refusals(recorder: Recorder, template: str) -> Iterator[None]:
    """Tell ``recorder`` of the error that ends a hand-out, and let it pass."""
    try:
        yield
    except ServiceError as error:
        if why := _REFUSALS.get(error.code, "error"):
            recorder.refused(template, why)
        raise
