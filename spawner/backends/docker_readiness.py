"""Wait until a companion is ready, or say why it never will be.

Ready is what its recipe says: a command inside that succeeds, or a port that accepts
connections. One that ended for good is not waited for.
"""

import asyncio
import logging
import time

from docker import APIClient
from docker.errors import APIError, NotFound

from spawner.backends.base import Order
from spawner.backends.docker_client import DockerLane, Json
from spawner.backends.docker_errors import one_line, status_of
from spawner.backends.docker_settings import DockerSettings
from spawner.backends.docker_view import ending, ip_of
from spawner.errors import BackendUnavailable, StartFailed
from spawner.masking import masked
from spawner.services import Companion

log = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 0.5
_CONNECT_S = 1.0
#: One look by a command; it may hang.
_COMMAND_S = 10.0
_COMMANDS_AT_ONCE = 4
_LINES = 20
#: Of the time for a start: the environment's own must begin within what is left.
_SHARE = 0.8


class CompanionReadiness:
    """Waits for companions of one daemon.

    Its state is the ids of environments that are to end, so nobody waits for theirs.
    """

    def __init__(self, settings: DockerSettings) -> None:
        self._reach = settings.reach
        self._lane = DockerLane("ready", settings, _COMMANDS_AT_ONCE)
        self._unwanted: set[str] = set()

    def give_up(self, environment_id: str) -> None:
        """Let whoever waits for an environment's companions fail, from now on."""
        self._unwanted.add(environment_id)

    def settled(self, environment_id: str) -> None:
        """Forget that an environment was to end."""
        self._unwanted.discard(environment_id)

    def close(self) -> None:
        """Give back threads and connections."""
        self._lane.close()

    async def wait(self, order: Order, companion: Companion, name: str) -> None:
        """Return when a companion is ready.

        Raises:
            StartFailed: It ended, or was not in time; the text has what it printed last.
            BackendUnavailable: No answer came.
        """
        if companion.ready is None and self._reach == "loopback":
            raise StartFailed(
                f'The port of the service "{companion.name}" cannot be tried where '
                'reach = "loopback": set ready = "…", a command, in the service.'
            )
        given = min(companion.recipe.ready_timeout, order.template.start_timeout * _SHARE)
        deadline = time.monotonic() + given.total_seconds()
        pause_s = _FIRST_PAUSE_S
        while True:
            container = await self._lane.run(_inspect, name)
            if reason := _end(container["State"]):
                raise await self._failure(companion, name, f"ended before it was ready: {reason}")
            if order.id in self._unwanted:
                raise StartFailed("it was ended before it was ready")
            if await self._is_ready(companion, name, ip_of(container)):
                return
            if time.monotonic() > deadline:
                text = f"was not ready within {given.total_seconds():g} s"
                raise await self._failure(companion, name, text)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _is_ready(self, companion: Companion, name: str, ip: str) -> bool:
        if companion.ready is None:
            return bool(ip) and await _accepts(ip, companion.recipe.port)
        try:
            async with asyncio.timeout(_COMMAND_S):
                return await self._lane.run(_succeeds, name, list(companion.ready))
        except TimeoutError:
            return False

    async def _failure(self, companion: Companion, name: str, text: str) -> StartFailed:
        try:
            printed = await self._lane.run(_tail, name)
        except BackendUnavailable:
            printed = ""
        told = masked(printed, [companion.password, *companion.env.values()]).strip()
        log.warning(
            "A companion did not get ready",
            extra={"event": "companion.failed", "service": companion.name, "tail": told},
        )
        last = f" ({one_line(' | '.join(told.splitlines()[-3:]))})" if told else ""
        return StartFailed(f'The service "{companion.name}" {text}{last}')


async def _accepts(ip: str, port: int) -> bool:
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(ip, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _end(state: Json) -> str:
    """Say how it ended; empty while it lives, or will live again."""
    if state["Running"] or state.get("Restarting"):
        return ""
    return ending(state)


def _inspect(client: APIClient, name: str) -> Json:
    try:
        found: Json = client.inspect_container(name)
    except NotFound as error:
        raise StartFailed(f"The container {name} vanished before it was ready.") from error
    return found


def _succeeds(client: APIClient, name: str, command: list[str]) -> bool:
    try:
        made = client.exec_create(name, command)["Id"]
        client.exec_start(made)
        return bool(client.exec_inspect(made)["ExitCode"] == 0)
    except APIError as error:
        if status_of(error) >= 500:
            raise
        return False  # it is just being started again


def _tail(client: APIClient, name: str) -> str:
    try:
        printed: bytes = client.logs(name, stdout=True, stderr=True, tail=_LINES)
    except NotFound:
        return ""
    return printed.decode(errors="replace")
