"""Choose what runs the environments, and say why.

``auto`` takes Docker when its daemon answers and can run what is wanted;
otherwise processes, which isolate nothing, with the reason in plain words.
"""

from dataclasses import dataclass

from spawner.backends.base import Backend
from spawner.backends.docker import DockerBackend
from spawner.backends.docker_network import OpenWayOut, no_way_out
from spawner.backends.process import ProcessBackend
from spawner.builder.logins import login_of
from spawner.errors import BackendUnavailable
from web.config import Settings
from web.recipes import IMAGE
from web.start_errors import StartError


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend that is ready to be used."""

    backend: Backend
    #: Why it is not the one that would be better; empty where it is, or was asked for.
    reason: str = ""


async def choose_backend(settings: Settings, open_way_out: OpenWayOut = no_way_out) -> Choice:
    """Choose a backend and open it; the caller closes it.

    ``open_way_out`` has the way to the hosts of a list listen.

    Raises:
        StartError: The one that was asked for cannot be used.
    """
    if settings.backend == "process":
        return Choice(await _opened(_process(settings)))
    docker = DockerBackend(
        settings.instance,
        settings.docker,
        open_way_out=open_way_out,
        login=login_of(settings.build),
        services=settings.services,
    )
    if settings.backend == "docker":
        return Choice(await _opened(docker))
    reason = await _why_not(docker, settings)
    if not reason:
        return Choice(await _opened(docker))
    await docker.close()
    return Choice(await _opened(_process(settings)), reason)


async def _why_not(docker: DockerBackend, settings: Settings) -> str:
    try:
        await docker.ping()
        if settings.templates or await docker.has_image(IMAGE):
            return ""
    except BackendUnavailable as error:
        return str(error)
    return f"Docker has no image {IMAGE}: make it (make image) to use Docker."


def _process(settings: Settings) -> ProcessBackend:
    return ProcessBackend(settings.instance, settings.state)


async def _opened(backend: Backend) -> Backend:
    try:
        await backend.open()
    except BackendUnavailable as error:
        await backend.close()
        raise StartError(str(error)) from error
    return backend
