"""Make images for tests."""

import os
import subprocess
from pathlib import Path


def build(image: str, directory: Path) -> None:
    """Build an image from a directory, whether or not Docker has its newer builder."""
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", image, directory],
        check=True,
        capture_output=True,
        env=os.environ | {"DOCKER_BUILDKIT": "0"},
    )
