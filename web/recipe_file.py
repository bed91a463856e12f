"""Write templates and pools as TOML that ``--config`` reads.

Pure. Only what differs from a default is written, as people write it.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

from pydantic import BaseModel

from spawner.model import Pool, Template
from spawner.units import NEVER

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MICROSECOND = timedelta(microseconds=1)
_UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000))
_POWERS = ((40, "T"), (30, "G"), (20, "M"), (10, "k"))
_SIZES = frozenset({"memory", "disk"})


def write_recipes(templates: Mapping[str, Template], pools: Mapping[str, Pool]) -> str:
    """Write each template with its pool."""
    tables = []
    for name, template in templates.items():
        tables.append(_table("templates", name, template))
        if name in pools:
            tables.append(_table("pools", name, pools[name]))
    return "\n".join(tables)


def _table(kind: str, name: str, model: BaseModel) -> str:
    lines = [f"[{kind}.{_key(name)}]", *_lines(model)]
    return "\n".join(lines) + "\n"


def _lines(model: BaseModel) -> Iterator[str]:
    for key, field in type(model).model_fields.items():
        value = getattr(model, key)
        if key == "name" or value == field.default:
            continue
        text = _size(value) if key in _SIZES else _written(value)
        yield f"{key} = {text}"


def _written(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return _text(_duration(value))
        case str():
            return _text(value)
        case tuple():
            return f"[{', '.join(map(_written, value))}]"
        case dict() | BaseModel():
            table = value if isinstance(value, dict) else value.model_dump(exclude_defaults=True)
            inside = ", ".join(f"{_key(key)} = {_written(one)}" for key, one in table.items())
            return f"{{ {inside} }}"
        case _:
            return repr(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(value: str) -> str:
    return f'"{"".join(map(_character, value))}"'


def _character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character in "\n\t":
        return {"\n": "\\n", "\t": "\\t"}[character]
    # TOML forbids control characters, which a terminal would obey, too.
    is_control = ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0
    return f"\\u{ord(character):04X}" if is_control else character


def _duration(value: timedelta) -> str:
    if value == NEVER:
        return "never"
    micros = value // _MICROSECOND
    for letter, unit in _UNITS:
        if micros >= unit and micros % unit == 0:
            return f"{micros // unit}{letter}"
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}s"


def _size(value: int) -> str:
    for power, letter in _POWERS:
        if value and value % (1 << power) == 0:
            return _text(f"{value >> power}{letter}")
    return str(value)
