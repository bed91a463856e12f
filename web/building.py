"""Put together what makes images from repositories, where containers are run."""

import logging
from contextlib import AsyncExitStack

from spawner.builder.builds import Builds
from spawner.builder.docker_cli import find_cli
from spawner.builder.engine import DockerEngine
from spawner.builder.planning import planner_for
from spawner.builder.settings import BuildSettings
from spawner.builder.sources import GitSources
from spawner.catalogue import Catalogue
from spawner.errors import BuildFailed
from spawner.recorder import Recorder
from spawner.store.connection import Connection
from web.config import Settings
from web.start_errors import StartError

log = logging.getLogger(__name__)

#: In the state directory: what is fetched, and what is built from it.
_FETCHED, _BUILT = "sources", "builds"


async def open_builds(
    stack: AsyncExitStack,
    settings: Settings,
    connection: Connection,
    catalogue: Catalogue,
    recorder: Recorder,
) -> Builds:
    """Give the builds of this instance; ``stack`` gives back what they hold.

    Without a docker command that can build, each build fails and says what to install.

    Raises:
        StartError: A file that the settings name cannot be read.
    """
    try:
        sources = GitSources(settings.build, settings.state / _FETCHED)
    except OSError as error:  # of a certificate as well (ssl.SSLError)
        file = error.filename or settings.build.ca_bundle
        raise StartError(f"[build]: {file} cannot be read: {error.strerror or error}") from error
    engine = DockerEngine(settings.build, settings.docker, settings.instance)
    await engine.open()
    stack.push_async_callback(engine.close)
    await _warn_where_nothing_builds(settings.build)
    return Builds(
        connection,
        catalogue,
        sources=sources,
        planner=planner_for(settings.build),
        engine=engine,
        settings=settings.build,
        scratch=settings.state / _BUILT,
        recorder=recorder,
    )


async def _warn_where_nothing_builds(settings: BuildSettings) -> None:
    try:
        await find_cli(settings)
    except BuildFailed as error:
        log.warning(
            "No image can be built here",
            extra={"event": "build.unavailable", "reason": str(error)},
        )
