"""Let repo2docker decide what a repository's image is built by.

repo2docker runs as a process of its own (:mod:`spawner.builder.repo2docker_context`):
it works in the current directory, of which a process has one, and what it reads is
not ours. It finds out what the repository is and writes the Dockerfile and what goes
with it; our own engine builds that, so that limits, logs and secrets stay ours.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from spawner.builder.base import Planner
from spawner.builder.contents import refuse_links_out
from spawner.builder.model import Plan, Tell
from spawner.builder.network import network_of
from spawner.builder.settings import BuildSettings
from spawner.errors import BuildFailed

_PATIENCE = timedelta(minutes=5)
_MODULE = "spawner.builder.repo2docker_context"
#: The file in the workspace that says what it made.
ANSWER = "repo2docker.json"


class Repo2dockerPlanner(Planner):
    """Asks the repo2docker that is installed beside tmpenv."""

    def __init__(self, settings: BuildSettings) -> None:
        self._settings = settings

    def plan(
        self, directory: Path, workspace: Path, dependencies: Sequence[str], tell: Tell
    ) -> Plan:
        """Plan a build; :meth:`Planner.plan` has the promises."""
        if dependencies:
            raise BuildFailed("Here repo2docker decides what is built from: name no dependencies.")
        refuse_links_out(directory)
        made = _ask(directory, workspace, tell)
        network = network_of(self._settings)
        return Plan(
            context=Path(made["context"]),
            dockerfile=Path(made["dockerfile"]),
            dependencies=(),
            secrets=network.write(workspace),
            arguments={**made["arguments"], **network.arguments},
            command=self._settings.command_to_run,
            urlpath="",
        )


def _ask(directory: Path, workspace: Path, tell: Tell) -> dict[str, Any]:
    # Isolated: a repository's own modules must not be imported, whatever they are called.
    command = [sys.executable, "-I", "-m", _MODULE, str(directory), str(workspace)]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(workspace)}
    try:
        ended = subprocess.run(  # noqa: S603 - no shell, and every word is ours
            command,
            cwd=workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE.total_seconds(),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildFailed("repo2docker did not come to an end.") from error
    # Everybody may read the log: where the repository lies here is nobody's business.
    lines = ended.stderr.replace(str(directory), ".").splitlines()
    for line in filter(str.strip, lines):
        tell(line)
    if ended.returncode:
        last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        raise BuildFailed(f"repo2docker could not plan a build: {last[:300]}")
    made: dict[str, Any] = json.loads((workspace / ANSWER).read_text())
    return made
