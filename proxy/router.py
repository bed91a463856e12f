"""Say what the data path asks of whoever knows where requests go.

There is one data path. What differs between environments by their id
(:mod:`proxy.environments`) and routes by their prefix stands behind this.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from proxy.errors import Answer, EdgeError
from proxy.request import Request
from proxy.upstream import Target

Found = Target | EdgeError | Answer


class Router(Protocol):
    """Where requests go. Its targets are its own: it closes them."""

    answers_origins: bool  # else preflights go to targets, whose own CORS headers are relayed

    def find(self, request: Request) -> Found | None:
        """Return the target, or what is said in its place; None: :meth:`ask`.

        Sets the request's destination. Never waits, and may be called again.

        Raises:
            Refusal: The request's target may be interpreted by nobody.
        """
        ...

    def ask(self, request: Request, answer: Callable[[Found], None]) -> None:
        """Call ``answer`` later with what :meth:`find` did not know."""
        ...

    def why_not(self, request: Request) -> EdgeError:
        """Return the answer to a request that was to go where nothing goes any more."""
        ...

    def refused(self, target: Target) -> None:
        """Hear that the target's address refused a connection. Never waits."""
        ...

    def targets(self) -> Iterable[Target]:
        """Return the targets that may have connections."""
        ...

    async def close(self) -> None:
        """Close everything that leads to a target, and drop the questions in flight."""
        ...
