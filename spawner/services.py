"""Say what a companion is run with: the catalogue of services, and who may be asked for. Pure.

A template asks for services by name (:class:`~spawner.model.ServiceWanted`), the
operator's catalogue says what each is, and a :class:`Companion` is one of them for one
environment, with every placeholder filled. Nothing is run that the catalogue does not
have: whoever may put a template chooses among its versions and params, and no more.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from spawner.errors import UnsupportedService
from spawner.model import EnvironmentName, ParamName, ServiceWanted, Template
from spawner.nearest import meant
from spawner.units import Duration, Size

Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
Words = str | tuple[str, ...]
#: Placeholders that every service has; no param can have one of these names.
_OWN = ("version", "password", "host", "port")


class ServiceRecipe(BaseModel):
    """A service that templates may ask for; each environment gets a container of its own.

    ``command``, ``env``, ``ready`` and ``exports`` may hold ``{version}``, ``{password}``
    (a secret of this one companion), ``{host}``, ``{port}`` and the names of ``params``;
    ``image`` may hold ``{version}``. Other braces stay as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(
        min_length=1, description='Container image, like "registry.example.org/postgres:{version}"'
    )
    versions: tuple[Version, ...] = Field(
        (), description="What templates may ask for; the first where they name none"
    )
    command: Words | None = Field(None, description="What to run; the image's own where unset")
    params: dict[ParamName, str] = Field(
        {}, description="What templates may change, with the values where they do not"
    )
    env: dict[EnvironmentName, str] = Field({}, description="The companion's variables")
    exports: dict[EnvironmentName, str] = Field(
        {},
        description="Variables that the environment is given, like "
        'DATABASE_URL = "postgresql://postgres:{password}@{host}:{port}/{database}"',
    )
    port: int = Field(ge=1, le=65535, description="Port on which it listens")
    ready: Words | None = Field(
        None,
        description="Command inside that succeeds once it is ready; where unset, "
        "once its port accepts connections",
    )
    ready_timeout: Duration = Field(timedelta(minutes=1), description="From creation to ready")
    memory: Size = Field(512 << 20, ge=6 << 20, description="Limit of memory and swap together")
    cpus: float = Field(1.0, gt=0, description="Limit of processors")
    pids: int = Field(256, ge=1, description="Limit of processes and threads")
    user: str = Field("", description="uid[:gid] to run as; the image's user where empty")
    allow_root: bool = Field(default=False, description="Let the image run as root")

    @model_validator(mode="after")
    def _params_have_names_of_their_own(self) -> Self:
        for name in self.params:
            if name in _OWN:
                raise ValueError(f'no param can be called "{name}": it has a meaning already')
        if "{version}" in self.image and not self.versions:
            raise ValueError("the image has {version}; say which there are: versions = [...]")
        return self


Services = Mapping[str, ServiceRecipe]


@dataclass(frozen=True, slots=True, kw_only=True)
class Companion:
    """One service for one environment, completely."""

    #: Also the host name by which its environment reaches it.
    name: str
    recipe: ServiceRecipe
    image: str
    command: tuple[str, ...] | None = field(repr=False)
    ready: tuple[str, ...] | None = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    #: What its environment is told.
    exports: Mapping[str, str] = field(repr=False)
    password: str = field(repr=False)


def password_of(services_key: str, name: str) -> str:
    """Give the secret of one companion: the same again for the same environment."""
    digest = hmac.new(services_key.encode(), f"service:{name}".encode(), hashlib.sha256)
    return digest.hexdigest()[:48]


def faults(template: Template, services: Services) -> Iterator[str]:
    """Say what a template asks for that the catalogue does not have."""
    for wanted in template.services:
        recipe = services.get(wanted.name)
        if recipe is None:
            yield f'there is no service "{wanted.name}"{meant(wanted.name, services)}'
            continue
        if wanted.version and wanted.version not in recipe.versions:
            hint = meant(wanted.version, recipe.versions) or "; it has none to choose from"
            yield f'the service "{wanted.name}" has no version "{wanted.version}"{hint}'
        for name in wanted.params.keys() - recipe.params.keys():
            hint = meant(name, recipe.params) or "; it has none"
            yield f'the service "{wanted.name}" has no param "{name}"{hint}'


def check(template: Template, services: Services) -> None:
    """Return if the catalogue has all that a template asks for.

    Raises:
        UnsupportedService: With everything that it does not have.
    """
    if found := list(faults(template, services)):
        text = "; ".join(found)
        raise UnsupportedService(f"{text[0].upper()}{text[1:]}")


def companions_of(
    template: Template, services: Services, services_key: str = ""
) -> tuple[Companion, ...]:
    """Give the companions of an environment, in the order in which they are asked for.

    Raises:
        UnsupportedService: The catalogue does not have one of them.
    """
    check(template, services)
    return tuple(
        _companion(wanted, services[wanted.name], password_of(services_key, wanted.name))
        for wanted in template.services
    )


def _companion(wanted: ServiceWanted, recipe: ServiceRecipe, password: str) -> Companion:
    version = wanted.version or next(iter(recipe.versions), "")
    values = {
        **recipe.params,
        **wanted.params,
        "version": version,
        "password": password,
        "host": wanted.name,
        "port": str(recipe.port),
    }
    return Companion(
        name=wanted.name,
        recipe=recipe,
        image=_filled(recipe.image, {"version": version}),
        command=_words(recipe.command, values),
        ready=_words(recipe.ready, values),
        env={name: _filled(text, values) for name, text in recipe.env.items()},
        exports={name: _filled(text, values) for name, text in recipe.exports.items()},
        password=password,
    )


def _words(words: Words | None, values: Mapping[str, str]) -> tuple[str, ...] | None:
    match words:
        case None:
            return None
        case str() as line:
            return ("/bin/sh", "-c", _filled(line, values))
        case _:
            return tuple(_filled(word, values) for word in words)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Replace the placeholders, in one pass: what a value holds is no placeholder."""
    known = "|".join(map(re.escape, values))
    return re.sub(rf"\{{({known})\}}", lambda found: values[found[1]], text)
