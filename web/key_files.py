"""Keys that tmpenv makes for itself, kept in the state directory for its user alone."""

import os
from pathlib import Path

from spawner.identity import new_secret
from web.start_errors import StartError

API_KEY = "api-key"
SECRET_KEY = "secret-key"  # noqa: S105  # the name of a file


def prepare_state(directory: Path) -> None:
    """Make the state directory.

    Raises:
        StartError: It cannot be made or written to.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"the state directory {directory} cannot be made ({error.strerror}); "
            "give another with --state-dir"
        ) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StartError(
            f"the state directory {directory} cannot be written to; give another with --state-dir"
        )


def read_key(path: Path) -> str:
    """Read a key; empty if it cannot be read."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def read_or_make_key(path: Path) -> str:
    """Read a key, or make it for the first time; two processes agree on one.

    Raises:
        StartError: It cannot be kept.
    """
    try:
        # Whole before it has its name, and named only if nobody else was faster.
        fresh = _write_aside(path, new_secret())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}") from error
    key = read_key(path)
    if not key:
        raise StartError(f"{path} holds no key, or cannot be read; remove it to have one made")
    return key


def write_key(path: Path, key: str) -> None:
    """Replace a key, in one step.

    Raises:
        StartError: It cannot be kept.
    """
    try:
        _write_aside(path, key).replace(path)
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error.strerror}") from error


def _write_aside(path: Path, key: str) -> Path:
    """Write a key whole into a file of another name, which its user alone can read."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key + "\n")
    return fresh
