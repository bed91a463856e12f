"""Gather settings: defaults < TOML file < environment < flags.

Each source keeps the name under which a person finds its values again (a
file, a variable, a flag), so that a mistake can be shown where it was made.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from web.config import Settings, secret_settings
from web.config_errors import (
    ConfigError,
    Fault,
    Location,
    Source,
    cross_checks,
    explain,
    unknown_variable,
)

PREFIX = "TMPENV_"
#: What backends tell an environment about itself (backends/base.py). A tmpenv that
#: runs inside one must not take them for its settings: TMPENV_PORT is in both sets.
TOLD_TO_ENVIRONMENTS = frozenset(
    f"{PREFIX}{name}" for name in ("ID", "BASE_PATH", "IP", "PORT", "TOKEN")
)
#: Settings whose value may be kept in a file that ``…_FILE`` names.
FROM_FILES = frozenset(secret_settings())


@dataclass(slots=True)
class _Variables:
    """What the environment says, and what in it is wrong."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    #: By setting, the variable that names the file in which its value was found.
    files: dict[Location, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gathered:
    """All settings, and the sources that they came from, the strongest first."""

    settings: Settings
    sources: list[Source]


def load(
    *,
    flags: Mapping[str, object] | None = None,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read and check all settings.

    ``config`` stands before ``TMPENV_CONFIG``; without both no file is read.

    Raises:
        ConfigError: With one line for each mistake.
    """
    return gather(flags=flags, config=config, environ=environ).settings


def gather(
    *,
    flags: Mapping[str, object] | None = None,
    config: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Gathered:
    """Read and check all settings as :func:`load` does, and keep where each came from.

    Raises:
        ConfigError: With one line for each mistake.
    """
    environ = os.environ if environ is None else environ
    path = config or (Path(environ["TMPENV_CONFIG"]) if environ.get("TMPENV_CONFIG") else None)
    variables = _read_variables(environ)
    sources = [
        Source.of_flags({key: value for key, value in (flags or {}).items() if value is not None}),
        Source.of_variables(variables.values, variables.files),
        *([Source.of_file(path, _read_file(path))] if path else []),
    ]
    try:
        settings = _validate(sources)
    except ValidationError as error:
        raise ConfigError(variables.lines + explain(error, sources)) from error
    faults: list[Fault] = cross_checks(settings)
    lines = variables.lines + [fault.line(sources) for fault in faults]
    if lines:
        raise ConfigError(lines)
    return Gathered(settings, sources)


def _validate(sources: list[Source]) -> Settings:
    class Merged(Settings):
        @classmethod
        def settings_customise_sources(  # type: ignore[override]  # called by keyword alone
            cls, settings_cls: type[BaseSettings], **_others: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, source.values) for source in sources)

    return Merged()


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"tmpenv: {path}: cannot be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([f"tmpenv: {path}: is no TOML: {error}"]) from error


def _read_variables(environ: Mapping[str, str]) -> _Variables:
    found = _Variables()
    # Which tmpenv commands ask is none of its settings.
    ignored = {f"{PREFIX}CONFIG", f"{PREFIX}SERVER"} | (TOLD_TO_ENVIRONMENTS - {f"{PREFIX}PORT"})
    if f"{PREFIX}ID" in environ:
        ignored.add(f"{PREFIX}PORT")
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in ignored:
            continue
        keys = _keys(name.removeprefix(PREFIX))
        setting = (*keys[:-1], keys[-1].removesuffix("_file"))
        if setting in FROM_FILES and keys[-1].endswith("_file"):
            _read_secret(found, name, Path(environ[name]), setting)
        elif keys[0] not in Settings.model_fields:
            found.lines.append(unknown_variable(name, keys[0]))
        else:
            _put(found.values, keys, _decode(environ[name]))
    return found


def _keys(name: str) -> list[str]:
    """Split ``CULLING__MAX_AGE``; what names variables, as behind ``ENV__``, keeps its case."""
    parts = name.split("__")
    keys: list[str] = []
    for part in parts:
        keys.append(part if keys[-1:] in (["env"], ["exports"]) else part.lower())
    return keys


def _decode(text: str) -> object:
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _read_secret(found: _Variables, name: str, path: Path, setting: Location) -> None:
    try:
        text = path.read_text(encoding="utf-8").strip()
        if not Source.of_variables(found.values, {}).has(setting):
            _put(found.values, [str(key) for key in setting], text)
            found.files[setting] = name
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        found.lines.append(f"tmpenv: {name}: {path} cannot be read: {reason}")


def _put(values: dict[str, Any], keys: list[str], value: object) -> None:
    *tables, last = keys
    for key in tables:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            inner = values[key] = {}
        values = inner
    if isinstance(values.get(last), dict) and isinstance(value, dict):
        value = {**value, **values[last]}
    values[last] = value
