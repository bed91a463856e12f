"""What every backend promises to the core.

A backend runs environments and knows nothing of pools, visitors or Redis. It
keeps no state of its own that matters: all that it must remember stands on
what it runs (labels, a file in the directory), so that a new tmpenv finds
everything again. Jobs, pauses and usage will join this interface; each is a
further method, none changes these.

The rule that carries all others: **"could not ask" is never "not there"**.
A method answers only what the backend itself said; whenever that is not
known, it raises :class:`~spawner.errors.BackendUnavailable`.
"""

import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from spawner.model import Address, Auth, Template

_PLACEHOLDER = re.compile(r"\{(base_path|port|ip|token|id)\}")
#: Told how the fetching of an image goes: a short line for people.
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be run, completely."""

    id: str
    #: The path prefix under which it must answer, with both slashes.
    base_path: str
    template: Template
    #: Never logged; given to the environment as ``TMPENV_TOKEN``; empty for auth "none".
    token: str = field(repr=False)
    #: Opens the way out for a template that lists what it reaches; never logged.
    egress_key: str = field(default="", repr=False)
    #: The passwords of its companions derive from it; never logged.
    services_key: str = field(default="", repr=False)

    def variables(self, *, ip: str, port: int) -> dict[str, str]:
        """Give the environment variables that every backend sets, the template's last."""
        return {
            "TMPENV_ID": self.id,
            "TMPENV_BASE_PATH": self.base_path,
            "TMPENV_IP": ip,
            "TMPENV_PORT": str(port),
            "TMPENV_TOKEN": self.token,
            # What Jupyter itself reads, so that an image's own command needs no template.
            "JUPYTER_TOKEN": self.token,
            **self.template.env,
        }

    def command(self, *, ip: str, port: int) -> list[str] | None:
        """Give the argument vector with its placeholders filled, or None for the image's own.

        Only the five known placeholders are replaced, in one pass, so that
        braces of the command's own language need no doubling.
        """
        values = {
            "base_path": self.base_path,
            "port": str(port),
            "ip": ip,
            "token": self.token,
            "id": self.id,
        }

        def fill(text: str) -> str:
            return _PLACEHOLDER.sub(lambda found: values[found[1]], text)

        match self.template.command:
            case None:
                return None
            case str() as line:
                return ["/bin/sh", "-c", fill(line)]
            case words:
                return [fill(word) for word in words]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One environment as the backend sees it."""

    id: str
    base_path: str
    template: str
    digest: str
    #: Under which it was started, whatever its template says by now.
    auth: Auth
    created_at: datetime
    is_running: bool
    address: Address | None
    #: For one that ended: how, in a few words ("exit code 137, out of memory").
    detail: str = ""


class Backend(Protocol):
    """Runs environments.

    Every method may be called concurrently, and is safe to call again after a
    crash, a cancellation or a :class:`~spawner.errors.BackendUnavailable`.
    """

    @property
    def name(self) -> str:
        """Give the word that configuration and logs use."""

    @property
    def warning(self) -> str:
        """Say what a visitor and an operator must know (no isolation); empty for nothing."""

    @property
    def gap(self) -> str:
        """Say what of the promised isolation is not enforced here, and why; empty for nothing."""

    async def open(self) -> None:
        """Make ready what all environments share (networks); idempotent.

        Raises:
            BackendUnavailable: It does not answer.
            BackendForbidden: It does not let us in; the text says what to do.
        """

    async def close(self) -> None:
        """Give back threads and connections. What runs goes on running."""

    async def ping(self) -> None:
        """Return if the backend answers.

        Raises:
            BackendUnavailable: It does not.
        """

    async def prepare(self, template: Template, progress: Progress) -> None:
        """Have at hand what ``template`` needs, pulling its image if it is not here.

        Concurrent calls for one image share one pull. Never holds up a start
        or a stop of something else.

        Raises:
            ImageUnavailable: The image is not here and could not be pulled.
            BackendUnavailable: Could not ask.
        """

    async def start(self, order: Order) -> Address:
        """Run an environment and say where it will listen; do not wait until it does.

        Its labels are there from the first instant at which it exists. A
        second call with the same id finds the first one's environment.

        Raises:
            StartFailed: The backend refused; nothing of it is left that
                :meth:`stop` would not remove.
            ImageUnavailable: The image went away since :meth:`prepare`.
            BackendUnavailable: No answer came; it may exist.
        """

    async def stop(self, environment_id: str, grace_s: float) -> None:
        """End an environment and remove all that it had; return when it is gone.

        One that is not there is a success. Nothing that belongs to another is touched.

        Raises:
            StopFailed: The backend answered that it could not.
            BackendUnavailable: No answer came; it may still be there.
        """

    async def inspect(self, environment_id: str) -> Observed | None:
        """Look at one environment; None if the backend says that there is none.

        Raises:
            BackendUnavailable: Could not ask.
        """

    async def list(self) -> list[Observed]:
        """Look at all environments of this instance, running or not, and at no other's.

        Raises:
            BackendUnavailable: Could not ask; there is no partial answer.
        """

    async def tail(self, environment_id: str, lines: int) -> str:
        """Give the last lines that an environment printed; empty if there are none.

        Raises:
            BackendUnavailable: Could not ask.
        """

    async def disk_usage(self, environment_id: str) -> int | None:
        """Give how many bytes an environment has on disk by its own doing; None if there is none.

        Its image and what its template mounts do not count. May take long, and
        never holds up a start or a stop.

        Raises:
            BackendUnavailable: Could not ask, or it could not be measured.
        """

    def follow(self, environment_id: str, lines: int) -> AsyncGenerator[bytes, None]:
        """Give the last lines that an environment printed, then what it prints, as it comes.

        Ends when the environment has ended, and at once if there is none.
        Where the bytes are parted means nothing. Reads no further than it is
        asked to; never holds up a start, a stop or a question. Close it
        (:func:`contextlib.aclosing`) to give back what it holds; being
        cancelled closes it as well. Each holds a thread or a connection, so
        whoever opens many must bound them.

        Raises:
            BackendUnavailable: Could not ask, or the stream broke; it may go on.
        """

    def endings(self) -> AsyncGenerator[str, None]:
        """Give the ids of environments as they end by themselves, from this call on.

        A hint, not a record: some may be missed or told twice, and a sweep
        finds the rest. Close it (:func:`contextlib.aclosing`) to give back
        what it holds; being cancelled closes it as well.

        Raises:
            BackendUnavailable: The stream broke; ask again after a while.
        """
