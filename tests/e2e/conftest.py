"""A directory and an instance for each served tmpenv."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components import require
from tests.e2e.containers import remove_all


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory whose path is short enough for sockets."""
    path = Path(tempfile.mkdtemp(prefix="tmpenv-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def docker_instance(instance: str) -> Iterator[str]:
    """An instance on the Docker daemon of which nothing is left afterwards."""
    require("docker", "tiny-image")
    name = f"{instance}-{os.getpid()}"
    yield name
    remove_all(name)
