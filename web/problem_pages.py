"""What a visitor reads when it does not go on: full, gone, starting, failing.

The same words serve the application's own answers and those that the edge
gives for environments that are gone or not yet there.
"""

import math
from dataclasses import dataclass
from urllib.parse import quote

from proxy.errors import EdgeError
from web.problems import Problem
from web.rendering import Renderer

_HEADINGS = {
    "full": "Every seat is taken",
    "limited": "No more for now",
    "banned": "This is closed to your network",
    "failing": "This cannot be started at the moment",
    "gone": "This environment has ended",
    "draining": "No new environments for now",
    "starting": "Almost there",
    "launch_lapsed": "This launch was given up",
    "not_found": "There is no such page",
    "unknown_template": "There is no such page",
    "method_not_allowed": "This cannot be done here",
    "forbidden": "This is not open to everybody",
    "not_yours": "This is somebody else's environment",
    "foreign_origin": "This cannot be done from there",
    "store_unavailable": "A short interruption",
    "backend_unavailable": "A short interruption",
    "unavailable": "A short interruption",
    "refused": "This environment does not answer",
    "bad_gateway": "This environment does not answer",
    "connect_timeout": "This environment does not answer",
    "response_timeout": "This environment does not answer",
    "bad_request": "This link cannot be followed",
    "internal": "Something went wrong on our side",
}
_TEXTS = {
    "not_yours": "This link belongs to whoever was given the environment, and opens in their "
    "browser alone. You can have one of your own.",
}
_REASONS = {
    "idle": "It had not been used for a while, so its place was given to others.",
    "age": "It had reached the longest time that an environment may run.",
    "disk": "It used more disk space than an environment may, and was ended with all that it had.",
    "stopped": "It was stopped.",
    "tmpenv stopped": "The service was stopped, and all environments with it.",
}
#: How the reconciler's account of a sudden end begins (spawner/reconcile.py).
_SUDDEN = ("it ended", "it vanished")
_LOOKS_BUSY = frozenset(
    (
        "starting full limited failing draining unavailable store_unavailable backend_unavailable"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Way:
    """A way on from a page: what the link says, and where it leads."""

    label: str
    href: str


def problem_page(
    renderer: Renderer, problem: Problem, *, request_id: str = "", ways: tuple[Way, ...] = ()
) -> str:
    """Give the page for a failure."""
    is_own_limit = problem.limit not in ("", "total")
    return _page(
        renderer,
        code=problem.code,
        text=f"{problem.text} {_when(problem)}" if is_own_limit else problem.text,
        # A page that tried again by itself could take what its visitor left to others.
        retry_after_s=None if is_own_limit else problem.retry_after_s,
        ways=ways or (Way("To the start page", renderer.mount),),
        request_id=request_id if problem.status >= 500 and problem.retry_after_s is None else "",
    )


def edge_page(renderer: Renderer, error: EdgeError) -> str:
    """Give the page for an answer of the edge about one environment."""
    is_over = error.status == 410
    template = quote(error.template, safe="")
    ways = [Way("To the start page", renderer.mount)]
    if error.code == "not_yours" and template:
        # Leads back who was given it by this very browser, and forgot.
        ways.insert(0, Way("To one of your own", f"{renderer.mount}launch/{template}"))
    if is_over and template:
        ways.insert(0, Way("Start a new one", f"{renderer.mount}launch/{template}?new=1"))
    return _page(
        renderer,
        code="gone" if is_over else error.code,
        text=_text(error),
        retry_after_s=error.retry_after_s,
        ways=tuple(ways),
        is_environment=True,
    )


def _when(problem: Problem) -> str:
    """Say what has to happen before one more is given."""
    if problem.limit != "launches_per_hour" or problem.retry_after_s is None:
        return "End one, or wait until one has ended, and try again."
    minutes = math.ceil(problem.retry_after_s / 60)
    return f"The next can be had in {minutes} {'minute' if minutes == 1 else 'minutes'}."


def _text(error: EdgeError) -> str:
    if error.status == 410:
        return _told(error)
    return _TEXTS.get(error.code, error.message)


def _told(error: EdgeError) -> str:
    if error.reason.startswith(_SUDDEN):
        return f"It came to a sudden end ({error.reason})."
    return _REASONS.get(error.reason, "It was ended, or there never was one at this address.")


def _page(
    renderer: Renderer,
    *,
    code: str,
    text: str,
    retry_after_s: int | None,
    ways: tuple[Way, ...],
    request_id: str = "",
    is_environment: bool = False,
) -> str:
    return renderer.render(
        "problem.html",
        heading=_HEADINGS.get(code, "This did not work"),
        text=text,
        retry_after_s=retry_after_s,
        ways=ways,
        request_id=request_id,
        is_busy=code in _LOOKS_BUSY and retry_after_s is not None,
        is_environment=is_environment,
    )
