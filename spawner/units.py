"""Read durations, sizes, rates, shares and lists as operators write them: ``10m``, ``512M``.

Pure. A bare number is in the base unit (seconds, bytes), so that what tmpnb's
options took still reads the same. Both types go back to text in base units,
so a value that was dumped is read again as the same value.
"""

import math
import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

NEVER = timedelta.max
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_PER_S = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "day": 86400.0}
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|sec|m|min|h|d|day)")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([kmgt])(?:ib?|b)?|b)?")
_CPUS = re.compile(r"(\d+(?:\.\d+)?)(m?)")


def parse_duration(value: object) -> object:
    """Read ``"1h"``, ``"90s"`` or a number of seconds; leave the rest to the validator.

    Raises:
        ValueError: The text is no duration; the message shows the forms.
    """
    if isinstance(value, timedelta | None):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _seconds(value, value)
    found = _DURATION.fullmatch(str(value).strip().lower())
    if found is None:
        raise ValueError(f'"{value}" is no duration: write 90s, 10m, 2h or 1d')
    return _seconds(float(found[1]) * _SECONDS[found[2]], value)


def _seconds(seconds: float, value: object) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except OverflowError:
        raise ValueError(f'"{str(value)[:40]}" is longer than time is counted') from None


def parse_list(value: object) -> object:
    """Read ``"a, b"``, as a variable of the environment holds a list; leave the rest."""
    if isinstance(value, str):
        return [item for item in (part.strip() for part in value.split(",")) if item]
    return value


def parse_limit(value: object) -> object:
    """Read a duration, or ``"never"``.

    Raises:
        ValueError: The text is neither; the message shows the forms.
    """
    return NEVER if value == "never" else parse_duration(value)


def parse_size(value: object) -> object:
    """Read ``"512M"``, ``"2GiB"`` or a number of bytes; leave the rest to the validator.

    Raises:
        ValueError: The text is no size; the message shows the forms.
    """
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value.strip().lower())
    if found is None:
        raise ValueError(f'"{value}" is no size: write 512M, 2G or a number of bytes')
    size = float(found[1]) * _BYTES[found[2] or ""]
    if math.isinf(size):
        raise ValueError(f'"{value[:40]}" is more than bytes are counted')
    return int(size)


def parse_cpus(value: object) -> object:
    """Read ``"0.5"`` or, in thousandths, ``"500m"``; leave the rest to the validator.

    Raises:
        ValueError: The text is no number of processors; the message shows the forms.
    """
    if not isinstance(value, str):
        return value
    found = _CPUS.fullmatch(value.strip())
    if found is None:
        raise ValueError(f'"{value[:40]}" is no number of processors: write 0.5, 500m or 10')
    return float(found[1]) / (1000 if found[2] else 1)


def size_text(count: int) -> str:
    """Write a number of bytes for people, rounded: ``1.5G``."""
    amount = float(count)
    for letter in ("B", "k", "M", "G"):
        if amount < 1024:
            return f"{amount:.4g}{letter}"
        amount /= 1024
    return f"{amount:.4g}T"


def parse_rate(text: str) -> float:
    """Read ``"3/min"``, ``"200/h"``, ``"0.5/s"`` or ``"1000/day"``; give what comes in a second.

    Raises:
        ValueError: The text is no rate; the message shows the forms.
    """
    found = _RATE.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f'"{text}" is no rate: write 3/min, 200/h, 0.5/s or 1000/day')
    return float(found[1]) / _PER_S[found[2]]


def parse_share(text: str) -> float:
    """Read ``"0.1%"`` or ``"0.001"``; give a number above 0 and below 1.

    Raises:
        ValueError: The text is no such share; the message shows the forms.
    """
    found = _SHARE.fullmatch(text.strip())
    share = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < share < 1:
        raise ValueError(f'"{text}" is no share between nothing and all: write 0.1% or 0.001')
    return share


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    Field(ge=timedelta(0)),
    PlainSerializer(lambda value: value.total_seconds(), return_type=float),
]
#: A time after which something ends, or "never": TOML has no null.
Limit = Annotated[
    timedelta,
    BeforeValidator(parse_limit),
    Field(ge=timedelta(0)),
    PlainSerializer(
        lambda value: "never" if value == NEVER else value.total_seconds(),
        return_type=float | str,
    ),
]
Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0)]
Cpus = Annotated[float, BeforeValidator(parse_cpus), Field(allow_inf_nan=False)]
