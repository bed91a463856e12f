"""Find, without starting anything, what serve would find only as it starts.

Each fault is one line. What is outside and may change (a port, Redis, the
Docker daemon) is not asked for.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from spawner.store.embedded import EmbeddedRedisError, find_server
from web.certificate import CertificateFiles
from web.config import Settings
from web.config_errors import ConfigError
from web.key_files import API_KEY, SECRET_KEY, read_key
from web.recipes import recipes_for
from web.start_errors import StartError


def check(settings: Settings) -> None:
    """Return if everything that settings name is there and can be used.

    Raises:
        ConfigError: With one line for each thing that cannot.
    """
    lines = [f"tmpenv: {fault}" for fault in _faults(settings)]
    if lines:
        raise ConfigError(lines)


def _faults(settings: Settings) -> Iterator[str]:
    try:
        if files := CertificateFiles.of(settings):
            files.read()
    except StartError as error:
        yield str(error)
    yield from _faults_of_recipes(settings)
    yield from _faults_of_state(settings)
    if settings.redis_url is None:
        try:
            find_server()
        except EmbeddedRedisError as error:
            yield str(error)
    if settings.metrics_port and settings.metrics_port == settings.port:
        yield f"metrics_port: {settings.port} is the port of visitors already; give another"


def _faults_of_recipes(settings: Settings) -> Iterator[str]:
    """Find templates that could not be run; with "auto", by neither backend."""
    backends = ("docker", "process") if settings.backend == "auto" else (settings.backend,)
    for recipe in settings.templates.values() or (None,):
        alone = {} if recipe is None else {recipe.name: recipe}
        one = settings.model_copy(update={"templates": alone})
        reasons = list(filter(None, (_why_not(one, backend) for backend in backends)))
        if len(reasons) == len(backends):
            yield reasons[0]


def _why_not(settings: Settings, backend: str) -> str:
    try:
        recipes_for(settings, backend)
    except StartError as error:
        return str(error)
    return ""


def _faults_of_state(settings: Settings) -> Iterator[str]:
    state = settings.state
    there = next(place for place in (state, *state.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield f"the state directory {state} cannot be written to; give another with --state-dir"
        return
    own = {API_KEY: settings.api_key, SECRET_KEY: settings.secret_key}
    for path in (state / name for name, key in own.items() if key is None):
        if _is_there(path) and not read_key(path):
            yield f"{path} holds no key, or cannot be read; remove it to have one made"


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()
