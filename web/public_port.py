"""Get the sockets of the public port: new ones, or those of the tmpenv to be followed."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from proxy.handover import Followed, HandoverFailed, Taken, take_over
from proxy.sockets import Listeners, listen, port_of
from web.signals import Signals
from web.start_errors import StartError, cannot_listen


class PublicPort:
    """The port of one tmpenv, which it may have from another, and may leave to a third.

    The mutable state is the line to the one that is followed, until it has left.
    """

    def __init__(self, stack: AsyncExitStack, signals: Signals) -> None:
        self._stack = stack
        self._signals = signals
        self._taken: Taken | None = None
        self._also: list[Callable[[], Awaitable[None]]] = []
        self.number = 0
        self.places: list[Listeners] = []

    def open(
        self, host: str | None, port: int, processes: int, *, takes_over: bool, host_flag: str
    ) -> list[Listeners]:
        """Return the sockets for so many processes.

        Raises:
            StartError: They cannot be had.
        """
        try:
            if takes_over and (taken := take_over(port)):
                self._taken = taken
                self._stack.callback(taken.close)
                self.places = taken.places(processes)
            else:
                self.places = listen(host, port, processes)
        except HandoverFailed as error:
            raise StartError(f"port {port} cannot be taken over: {error}") from error
        except OSError as error:
            raise cannot_listen(host or "", port, error, host_flag=host_flag) from error
        self.number = port_of(self.places)
        return self.places

    def leave_also(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call ``close`` when another one follows: what it closes, that one will open."""
        self._also.append(close)

    async def follow(self) -> None:
        """Have the one that is followed leave, now that its sockets are served here.

        Raises:
            StartError: It does not.
        """
        if self._taken is not None:
            try:
                await self._taken.follow()
            except HandoverFailed as error:
                raise StartError(f"port {self.number} cannot be taken over: {error}") from error
            self._taken.close()
        followed = Followed(self.number, self.places, self._leave)
        followed.offer()
        self._stack.push_async_callback(followed.close)

    async def _leave(self) -> None:
        for close in self._also:
            await close()
        self._signals.leave()
