"""Describe every setting, from the settings themselves.

``python -m web.config_docs`` prints ``docs/configuration.md``; a test holds
the two together. The help of ``tmpenv serve`` is made from the same rows.
"""

import os
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from spawner.model import Pool, Template
from spawner.services import ServiceRecipe
from spawner.units import parse_size
from web.config import Settings

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_HEAD = """\
# Configuration

<!-- Made by `python -m web.config_docs`; change the settings in web/config.py instead. -->

tmpenv needs no configuration. What you set is taken from, each before the ones above it:

1. the defaults below;
2. a TOML file: `tmpenv serve --config tmpenv.toml`, or `TMPENV_CONFIG`;
3. environment variables: `TMPENV_` and the key in capitals, `__` between table and key
   (`TMPENV_CULLING__IDLE_TIMEOUT=30m`). Lists are separated by commas. A secret can be kept in a
   file instead, which the variable with `_FILE` behind it names: `TMPENV_API_KEY_FILE`,
   `TMPENV_BUILD__REGISTRY_PASSWORD_FILE`;
4. flags, for the keys of the first table (`--state-dir`).

Durations are written `90s`, `10m`, `2h`, `1d`, or as a number of seconds; sizes `512M`, `2G`, or
as a number of bytes. A key or value that tmpenv does not know is an error, which names the nearest
right one.

Inside an environment, the variables that tmpenv sets there (`TMPENV_ID`, `TMPENV_BASE_PATH`,
`TMPENV_IP`, `TMPENV_PORT`, `TMPENV_TOKEN`) are not settings.

```toml
port = 8000

[culling]
idle_timeout = "30m"

[templates.course]
title = "Introduction to Statistics"
description = "The notebooks of the course, ready to run."
image = "registry.example.org/course:2026"
memory = "2G"
urlpath = "lab/tree/start.ipynb"

[pools.course]
size = 40
spare = 5
```
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One key."""

    key: str
    values: str
    default: str
    about: str


def tables() -> Iterator[tuple[str, str, list[Row]]]:
    """Give each table of the settings: its name, what it is about, its keys."""
    plain, sections = {}, {}
    for name, field in Settings.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            sections[name] = inner
        elif name not in ("templates", "pools", "services"):
            plain[name] = field
    yield "", "", [_row(name, field) for name, field in plain.items()]
    for name, model in sections.items():
        yield name, _about(model), _rows(model)
    yield (
        "templates.<name>",
        _about(Template),
        [row for row in _rows(Template) if row.key != "name"],
    )
    yield "pools.<name>", _about(Pool), _rows(Pool)
    yield "services.<name>", _about(ServiceRecipe), _rows(ServiceRecipe)


def markdown() -> str:
    """Give ``docs/configuration.md``."""
    parts = [_HEAD]
    for name, about, rows in tables():
        parts.append(f"## `[{name}]`\n\n{about}\n" if name else "## Keys of the first table\n")
        parts.append("| key | values | default | |\n|---|---|---|---|")
        parts += [
            f"| `{row.key}` | {_cell(row.values)} | {_code(row.default)} | {_cell(row.about)} |"
            for row in rows
        ]
        parts.append("")
    return "\n".join(parts)


def help_text() -> str:
    """List the keys that have no flag, for the help of the command."""
    lines = ["Keys of the configuration file (docs/configuration.md):", ""]
    for name, _, rows in tables():
        if name:
            lines.append(f"[{name}]")
            lines += [f"  {row.key} = {row.default or '(unset)'}  {row.about}" for row in rows]
            lines.append("")
    return "\n".join(lines)


def _rows(model: type[BaseModel]) -> list[Row]:
    return [_row(name, field) for name, field in model.model_fields.items()]


def _row(name: str, field: FieldInfo) -> Row:
    description = (field.description or "").removesuffix(".")
    if any(getattr(one, "func", None) is parse_size for one in field.metadata):
        return Row(name, "size", _size(field.default), description)
    return Row(name, _values(field.annotation), _default(field), description)


def _about(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")


def _values(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin in (Union, types.UnionType):
        inner = [_values(one) for one in arguments if one is not type(None)]
        return " or ".join(dict.fromkeys(inner))
    if origin in (Annotated, tuple):
        return "list of " * (origin is tuple) + _values(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(str(one.value) for one in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    return _NAMES.get(origin or annotation, "text")


_NAMES = {
    bool: "true, false",
    int: "number",
    float: "number",
    timedelta: "duration",
    str: "text",
    Path: "path",
    SecretStr: "secret",
    dict: "table",
}


def _default(field: FieldInfo) -> str:
    if field.is_required() or field.default_factory is not None:
        return ""
    return _written(field.default)


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value in (None, {}, Path()) else str(value)


def _size(value: int) -> str:
    for power, letter in ((30, "G"), (20, "M"), (10, "k")):
        if value and value % (1 << power) == 0:
            return f"{value >> power}{letter}"
    return str(value)


def _duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    for unit, letter in _UNITS:
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g}{letter}"
    return f"{seconds:g}s"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    sys.stdout.write(markdown() + os.linesep)
