"""Count what the core tells.

The one rule: a series is there before anything happened, so that an alert sees the
first failure as a rise. What a client asks for never becomes a label.
"""

from collections.abc import Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from culler import disk
from culler.policy import Reason
from spawner.builder.model import Outcome
from spawner.errors import (
    BackendForbidden,
    BackendUnavailable,
    ImageUnavailable,
    StartFailed,
    StopFailed,
)
from spawner.recorder import Finding, Operation, Refusal, Way

#: A spare is handed out within milliseconds (0.015 is what is promised of 99 in 100),
#: and who waits for a start does so for seconds.
HANDOUT_S = (
    *(0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1, 2.5, 5, 10, 30, 60, 120),
)
#: From a container that starts at once to an image that is pulled over a slow line.
START_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
#: From an image that is nearly there to one that installs half the world.
BUILD_S = (1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600)
STORE_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

_BUILT = (Outcome.COMPLETED, Outcome.FAILED, Outcome.CANCELLED)
_BACKEND_ERRORS = (BackendUnavailable, BackendForbidden, ImageUnavailable, StartFailed, StopFailed)


class Measures:
    """The core's recorder (:class:`spawner.recorder.Recorder`)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"tmpenv_{name}", about, labels, registry=registry)

        def histogram(name: str, about: str, *labels: str, within: tuple[float, ...]) -> Histogram:
            return Histogram(
                f"tmpenv_{name}_seconds", about, labels, registry=registry, buckets=within
            )

        self._handouts = counter("handouts", "Launches by how they ended", "template", "outcome")
        self._turned_away = counter(
            "turned_away",
            "Visitors who got nothing because of a pool's size or a limit",
            "template",
        )
        self._handout_s = histogram(
            "handout_duration",
            "Time from asking for an environment to having one",
            *("template", "outcome"),
            within=HANDOUT_S,
        )
        self._ready_s = histogram(
            "ready_duration",
            "Time from an environment's record to its first answer",
            "template",
            within=START_S,
        )
        self._failed_starts = counter(
            "failed_starts", "Environments that did not become ready", "template"
        )
        self._culls = counter("culls", "Environments that were culled", "template", "reason")
        self._findings = counter(
            "reconcile_findings", "What the store and the backend did not agree on", "kind"
        )
        self._backend_s = histogram(
            "backend_duration",
            "Time that the backend took to start or stop an environment, "
            "or to prepare a template, which is to pull its image where that is not here",
            "operation",
            within=START_S,
        )
        self._backend_errors = counter("backend_errors", "Failures of the backend", "kind")
        self._build_s = histogram(
            "build_duration",
            "Time from asking for a build to its end, by what came of it",
            "outcome",
            within=BUILD_S,
        )
        self._store_s = histogram(
            "store_duration", "Time that the store took to answer", within=STORE_S
        )
        self._store_failures = counter("store_failures", "Questions that the store did not answer")
        self._begin()

    def _begin(self) -> None:
        for finding in get_args(Finding):
            self._findings.labels(finding)
        for operation in get_args(Operation):
            self._backend_s.labels(operation)
        for outcome in _BUILT:
            self._build_s.labels(outcome)
        for error in _BACKEND_ERRORS:
            self._backend_errors.labels(error.code)

    def begin(self, templates: Iterable[str]) -> None:
        """Have every series of ``templates``; those that are there stay as they are."""
        for template in templates:
            self._turned_away.labels(template)
            self._ready_s.labels(template)
            self._failed_starts.labels(template)
            for way in get_args(Way):
                self._handouts.labels(template, way)
                self._handout_s.labels(template, way)
            for why in get_args(Refusal):
                self._handouts.labels(template, why)
            for reason in (*get_args(Reason), disk.REASON):
                self._culls.labels(template, reason)

    def handed_out(self, template: str, way: Way, took_s: float) -> None:
        """Count it, and its time."""
        self._handouts.labels(template, way).inc()
        self._handout_s.labels(template, way).observe(took_s)

    def refused(self, template: str, why: Refusal) -> None:
        """Count it, and whom it turns away who did nothing wrong."""
        self._handouts.labels(template, why).inc()
        if why != "error":
            self._turned_away.labels(template).inc()

    def became_ready(self, template: str, took_s: float) -> None:
        """Count its time."""
        self._ready_s.labels(template).observe(took_s)

    def failed_to_start(self, template: str) -> None:
        """Count it."""
        self._failed_starts.labels(template).inc()

    def culled(self, template: str, reason: str) -> None:
        """Count it."""
        self._culls.labels(template, reason).inc()

    def found(self, finding: Finding, number: int = 1) -> None:
        """Count it."""
        self._findings.labels(finding).inc(number)

    def built(self, outcome: str, took_s: float) -> None:
        """Count its time."""
        self._build_s.labels(outcome).observe(took_s)

    def backend_did(self, operation: Operation, took_s: float) -> None:
        """Count its time."""
        self._backend_s.labels(operation).observe(took_s)

    def backend_failed(self, code: str) -> None:
        """Count it."""
        self._backend_errors.labels(code).inc()

    def store_answered(self, took_s: float) -> None:
        """Count its time."""
        self._store_s.observe(took_s)

    def store_failed(self) -> None:
        """Count it."""
        self._store_failures.inc()
