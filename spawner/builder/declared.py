"""Read what the small files of a repository declare: versions, packages, references.

Pure. What these give is safe to write into a Dockerfile: it matched a pattern.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Literal

from spawner.errors import BuildFailed

#: Debian Policy §5.6.1 and §5.6.12, with an architecture and a version as apt-get takes them. One
#: that ends in "-" would be removed.
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]*[a-z0-9+](:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?")
_VERSION = re.compile(r"python-(\d+(?:\.\d+){0,2})")
#: An entry of a list in YAML.
_ITEM = re.compile(r"\s*-\s*[\"']?(.*?)[\"']?\s*")


def debian_packages(text: str) -> tuple[str, ...]:
    """Give the packages of an apt.txt, each once, in its order; "#" begins a comment.

    Raises:
        BuildFailed: Something is not the name of a package.
    """
    words = [word for line in text.splitlines() for word in line.partition("#")[0].split()]
    for word in words:
        if not _PACKAGE.fullmatch(word):
            raise BuildFailed(f"apt.txt: {word[:80]!r} is not the name of a package.")
    return tuple(dict.fromkeys(words))


def base_image(text: str | None, images: Mapping[str, str]) -> str:
    """Give the base image for what a runtime.txt says, the first where there is none.

    ``python-3.11`` wants the image of 3.11, and so does ``python-3.11.4``; ``python-3`` is
    content with the first of 3.

    Raises:
        BuildFailed: There is none of that version; the text names those there are.
    """
    if text is None:
        return next(iter(images.values()))
    found = _VERSION.fullmatch(text.strip())
    if found:
        wanted = found[1]
        for version in (wanted, ".".join(wanted.split(".")[:2])):
            if version in images:
                return images[version]
        for version, image in images.items():
            if version.startswith(f"{wanted}."):
                return image
    offered = ", ".join(f"python-{version}" for version in images)
    raise BuildFailed(f"runtime.txt: there is no {text.strip()[:40]!r} here; there is {offered}.")


def refers_to_files(requirements: str) -> bool:
    """Say whether requirements need other files of the repository to be installed."""
    return any(_is_local(line) for line in requirements.splitlines())


def environment_refers_to_files(environment: str) -> bool:
    """Say whether an environment.yml may need other files; in doubt it does.

    It is not read as YAML here: what an entry says matters only to when it is installed.
    """
    items = (_ITEM.fullmatch(line) for line in environment.splitlines())
    return any(_is_local(item[1]) for item in items if item)


def _is_local(requirement: str) -> bool:
    line = re.split(r"(?:^|\s)#", requirement, maxsplit=1)[0].strip()
    if line.startswith(("-r", "-c", "--requirement", "--constraint")):
        return True
    line = re.sub(r"^(-e|--editable)[ =]*", "", line)
    if "file:" in line:
        return True
    # An address, or an option, holds slashes as well.
    return not line.startswith("-") and "://" not in line and (line[:1] == "." or "/" in line)


def project_kind(pyproject: str) -> Literal["package", "dependencies"] | None:
    """Say what of a pyproject.toml can be installed: the package, its dependencies, nothing.

    Only one with a build system is installed itself. Without, its dependencies are: a folder
    of notebooks is no package, and would not become one.

    Raises:
        BuildFailed: It is not TOML.
    """
    try:
        tables = tomllib.loads(pyproject)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BuildFailed(f"pyproject.toml cannot be read: {str(error)[:200]}") from error
    if "build-system" in tables:
        return "package"
    return "dependencies" if "project" in tables else None
