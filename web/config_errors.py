"""Tell a mistake in the settings in one line: where, what, and the nearest right word.

Pure. A value is shown so that it can be found again, unless it is a secret.
"""

import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from spawner.model import Template
from spawner.nearest import meant, nearest
from spawner.services import faults as service_faults
from web.config import BUILTIN, Settings
from web.secrets_masked import is_secret

Location = tuple[str | int, ...]
NO_WALL = (
    'only "open" can be had on the process backend, where nothing holds a process back; '
    'set egress = "open", or use --backend docker'
)
NO_COMPANIONS = (
    "none can be had on the process backend, which has no network of its own; "
    "remove them, or use --backend docker"
)
_QUOTED = re.compile(r"'([^']*)'")


class ConfigError(Exception):
    """The settings are wrong; each line says one thing that is."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Source:
    """Where values come from, and what a person calls each of them."""

    kind: str
    name: str
    values: dict[str, Any]
    #: Variables that named a file with the value, by setting.
    files: Mapping[Location, str] = field(default_factory=dict)

    @classmethod
    def of_flags(cls, values: dict[str, Any]) -> "Source":
        """Name values as flags of the command line."""
        return cls("flag", "", values)

    @classmethod
    def of_variables(cls, values: dict[str, Any], files: Mapping[Location, str]) -> "Source":
        """Name values as variables of the environment."""
        return cls("variable", "", values, files)

    @classmethod
    def of_file(cls, path: Path, values: dict[str, Any]) -> "Source":
        """Name values as keys of a file."""
        return cls("file", str(path), values)

    def has(self, location: Location) -> bool:
        """Say whether this source gave a value there."""
        inside: object = self.values
        for key in location:
            if not isinstance(inside, Mapping) or key not in inside:
                return False
            inside = inside[key]
        return bool(location)

    def label(self, location: Location) -> str:
        """Give the words under which a value is found again."""
        match self.kind:
            case "flag":
                return "--" + str(location[0]).replace("_", "-")
            case "variable":
                return self.files.get(location) or variable(location)
            case _:
                return f"{self.name}: {'.'.join(map(str, location))}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake."""

    location: Location
    text: str

    def line(self, sources: list[Source]) -> str:
        """Say it with the place in the source that decided."""
        for end in range(len(self.location), 0, -1):
            place = self.location[:end]
            for source in sources:
                if source.has(place):
                    return f"tmpenv: {source.label(place)}: {self.text}"
        return f"tmpenv: {'.'.join(map(str, self.location))}: {self.text}"


def variable(location: Iterable[str | int]) -> str:
    """Give the environment variable of a key."""
    return "TMPENV_" + "__".join(str(key).upper() for key in location)


def unknown_variable(name: str, key: str) -> str:
    """Tell of a variable that is no setting."""
    found = nearest(key, Settings.model_fields)
    hint = f"; did you mean {variable([found])}?" if found else "; see tmpenv serve --help"
    return f"tmpenv: {name}: is no setting{hint}"


def explain(error: ValidationError, sources: list[Source]) -> list[str]:
    """Tell everything that a validation found, each thing once."""
    lines = [_fault(details).line(sources) for details in error.errors()]
    return list(dict.fromkeys(lines))


def cross_checks(settings: Settings) -> list[Fault]:
    """Find what is right alone and wrong together."""
    known = sorted(settings.templates) or [BUILTIN]
    faults = [
        Fault(("pools", name), f"there is no such template{meant(name, known)}")
        for name in settings.pools
        if name not in known
    ]
    if settings.backend == "docker":
        faults += [
            Fault(("templates", name, *key), text)
            for name, template in settings.templates.items()
            for key, text in docker_faults(template, settings.docker.reach)
        ]
    if settings.backend == "process":
        faults += [
            Fault(("templates", name, "egress"), NO_WALL)
            for name, template in settings.templates.items()
            if template.egress != "open"
        ]
        faults += [
            Fault(("templates", name, "services"), NO_COMPANIONS)
            for name, template in settings.templates.items()
            if template.services
        ]
    faults += [
        Fault(("templates", name, "services"), text)
        for name, template in settings.templates.items()
        for text in service_faults(template, settings.services)
    ]
    if settings.ssl_cert is None:
        faults += [
            Fault((key,), "needs ssl_cert, the certificate that it is for")
            for key in ("ssl_key", "ssl_key_passphrase")
            if getattr(settings, key) is not None
        ]
    default = settings.default_template
    if default and default not in known:
        faults.append(
            Fault(("default_template",), f'there is no template "{default}"{meant(default, known)}')
        )
    return faults


def docker_faults(template: Template, reach: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Find what the docker backend could not run: the key at fault, if it is there, and why."""
    if not template.image:
        yield (
            ("image",),
            'the docker backend needs an image; set image = "…", or use --backend process',
        )
    if template.egress != "open" and reach == "loopback":
        text = (
            'only "open" can be had where environments are reached by loopback; '
            'set egress = "open", or reach = "address" in [docker]'
        )
        yield ("egress",), text


def _fault(details: ErrorDetails) -> Fault:
    location, kind = details["loc"], details["type"]
    if kind == "extra_forbidden":
        known = _fields_at(location[:-1])
        text = f"unknown key{meant(str(location[-1]), known)}"
    elif kind in ("literal_error", "enum"):
        choices = _QUOTED.findall(str(details.get("ctx", {}).get("expected", "")))
        given = str(details["input"])
        text = f'"{given}" is not one of {", ".join(choices)}{meant(given, choices, listed=False)}'
    elif kind == "value_error":
        text = str(details.get("ctx", {}).get("error", details["msg"]))
    elif kind == "missing":
        text = "is required"
    else:
        text = _told(details)
    return Fault(location, text)


def _told(details: ErrorDetails) -> str:
    text = details["msg"].removeprefix("Input ").replace("'", '"')
    if isinstance(details["input"], dict | list) or is_secret(details["loc"]):
        return text
    return f'{text}, not "{details["input"]}"'


def _fields_at(location: Location) -> list[str]:
    """List the keys that a table of the settings may have."""
    at: Any = Settings
    for key in location:
        at = _inside(at, key)
    return [] if at is None else [name for name in at.model_fields if name != "name"]


def _inside(at: Any, key: str | int) -> Any:
    if isinstance(at, type) and issubclass(at, BaseModel) and key in at.model_fields:
        return _model(at.model_fields[str(key)].annotation)
    return _model(at[1]) if isinstance(at, tuple) else None


def _model(annotation: Any) -> Any:
    """Give the model an annotation is about: itself, of a union, or behind a dictionary's keys."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return ("by name", arguments[1])
    if origin is Annotated:
        return _model(arguments[0])
    if origin in (Union, types.UnionType):
        return next((found for one in arguments if (found := _model(one))), None)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None
