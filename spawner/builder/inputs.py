"""Tell apart what gives another image. Pure.

Two requests with the same inputs may share a build, and the image of one serves the other.
"""

import hashlib
import json
import re
from collections.abc import Sequence

from spawner.builder.model import Source
from spawner.builder.settings import BuildSettings

#: What an operator sets that decides what is in an image.
_SETTINGS = {"builder", "priority", "base_images", "conda_channels"}
_COMMIT = 12
_DIGEST = 8


def inputs_of(
    source: Source, commit: str, dependencies: Sequence[str], settings: BuildSettings
) -> str:
    """Name everything that decides what is in an image."""
    inputs = {
        "name": source.name,
        "commit": commit,
        "dependencies": list(dependencies),
        "settings": settings.model_dump(mode="json", include=_SETTINGS),
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def tag_of(commit: str, inputs: str) -> str:
    """Give the tag of an image; a forced build adds its id."""
    return f"{commit[:_COMMIT]}-{inputs[:_DIGEST]}"


def is_made_of(image: str, reference: str) -> bool:
    """Say whether an image is the one of ``reference``, or was made of the same by force."""
    return re.fullmatch(rf"{re.escape(reference)}(-[0-9]+)?", image) is not None
