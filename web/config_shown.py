"""Show the settings that are in force, where each came from, and no secret.

Pure. The text is TOML: what is unset stands in a comment.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from spawner.model import Pool, Template
from spawner.units import NEVER
from web.config_errors import Location, Source
from web.config_sources import Gathered
from web.secrets_masked import MASK, is_secret, masked_text, masked_words


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting."""

    location: Location
    #: As JSON has it, without secrets; None for unset.
    value: Any
    source: str


def shown(gathered: Gathered) -> list[Shown]:
    """List every setting in force, plain keys before tables."""
    settings = gathered.settings
    known = dict(settings)
    # A template without a pool has the usual one.
    usual = {name: Pool() for name in settings.templates if name not in settings.pools}
    known["pools"] = {**settings.pools, **usual}
    known["state_dir"] = settings.state
    leaves = [
        Shown(location, _told(location, value), _source(location, gathered.sources))
        for location, value in _leaves((), known)
    ]
    return sorted(leaves, key=lambda one: len(one.location) > 1)


def toml(settings: list[Shown]) -> str:
    """Write settings as TOML, the source of each beside it."""
    lines: list[str] = []
    table: Location = ()
    for one in settings:
        *inside, key = one.location
        if tuple(inside) != table:
            table = tuple(inside)
            lines += ["", f"[{'.'.join(_key(part) for part in table)}]"]
        if one.value is None:
            lines.append(f"# {_key(key)} is unset")
        else:
            lines.append(f"{_key(key)} = {_toml(one.value)}  # {one.source}")
    return "\n".join(lines) + "\n"


def _leaves(location: Location, value: object) -> Iterator[tuple[Location, Any]]:
    if isinstance(value, BaseModel):
        inner = dict(value)
        if isinstance(value, Template):
            del inner["name"]  # the key under which it stands
    elif isinstance(value, Mapping):
        inner = dict(value)
    else:
        yield location, value
        return
    # Tables of a table stand behind its own keys.
    for key, each in sorted(inner.items(), key=lambda item: isinstance(item[1], Mapping)):
        yield from _leaves((*location, key), each)


def _source(location: Location, sources: list[Source]) -> str:
    for source in sources:
        if source.has(location):
            return source.name if source.kind == "file" else source.label(location)
    return "default"


def _told(location: Location, value: object) -> object:  # one for each kind
    """Give a value as JSON has it, without secrets."""
    if isinstance(value, SecretStr) and location == ("redis_url",):
        return masked_text(value.get_secret_value())
    if value is not None and is_secret(location):
        return MASK
    if isinstance(value, tuple):
        return _list(location, value)
    if isinstance(value, timedelta):
        return "never" if value == NEVER else f"{value.total_seconds():g}s"
    if isinstance(value, str | Path | IPv4Network):
        return masked_text(str(value))
    assert value is None or isinstance(value, bool | int | float), f"{location}: {type(value)}"
    return value


def _list(location: Location, items: tuple[object, ...]) -> list[Any]:
    tables = [_table(location, dict(one)) for one in items if isinstance(one, BaseModel)]
    return tables or masked_words([str(one) for one in items])


def _table(location: Location, table: Mapping[str, object]) -> dict[str, object]:
    """Give a table within a list, without secrets."""
    told: dict[str, object] = {}
    for key, value in table.items():
        place = (*location, key)
        told[key] = _table(place, value) if isinstance(value, Mapping) else _told(place, value)
    return told


def _key(part: str | int) -> str:
    text = str(part)
    is_bare = text.isascii() and text.replace("-", "").replace("_", "").isalnum()
    return text if is_bare else json.dumps(text)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items())
        return f"{{{inside}}}"
    # Strings of JSON are strings of TOML, but for this one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
