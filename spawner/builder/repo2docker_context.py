"""Run as a process: have repo2docker lay out a build that somebody else carries out.

    python -I -m spawner.builder.repo2docker_context DIRECTORY WORKSPACE

repo2docker builds as it always does, but at an engine that keeps what it was sent. Its
log goes to stderr; what was made stands in ``WORKSPACE/repo2docker.json``.
"""

import json
import logging
import os
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spawner.builder.repo2docker import ANSWER

#: uid of the user in the image, as on every Binder.
_USER = 1000


class KeepingEngine:
    """What repo2docker takes for a container engine: writes down a build, and runs none."""

    string_output = True

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.answer: dict[str, Any] = {}

    def inspect_image(self, image: str) -> None:
        """Say that no image is there."""

    def build(
        self,
        *,
        buildargs: dict[str, str],
        path: str = "",
        dockerfile: str = "Dockerfile",
        fileobj: Any = None,
        **_: object,
    ) -> Iterator[str]:
        """Keep a build: a directory with its own Dockerfile, or a context that was made."""
        context = Path(path)
        if fileobj is not None:
            context = self.workspace / "context"
            with tarfile.open(fileobj=fileobj) as archive:
                # It was made just now, of files and links that stay what they are.
                archive.extraction_filter = lambda member, _: member
                archive.extractall(context)  # noqa: S202
        self.answer = {
            "context": str(context),
            "dockerfile": str((context / dockerfile).resolve()),
            "arguments": buildargs,
        }
        yield from ()


def main(directory: str, workspace: str) -> None:
    """Lay out the build of a directory."""
    from repo2docker.app import Repo2Docker  # noqa: PLC0415 - optional

    engine = KeepingEngine(Path(workspace))
    os.chdir(directory)
    app = Repo2Docker(
        repo=directory,
        user_id=_USER,
        user_name="jovyan",
        output_image_spec="tmpenv",
        log_level=logging.INFO,
    )
    app.get_engine = lambda: engine
    app.build()
    (Path(workspace) / ANSWER).write_text(json.dumps(engine.answer))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except ImportError as error:
        sys.exit(f"repo2docker is not installed here: pip install 'tmpenv[repo2docker]' ({error})")
    except Exception as error:
        # Everybody may read the log of a build: no traceback of this machine's files.
        sys.exit(f"{type(error).__name__}: {error}")
