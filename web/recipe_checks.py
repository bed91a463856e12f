"""Check templates and pools that come from elsewhere as those of the configuration are.

Pure. They are told by the same lines: the key, what is wrong, and the nearest right word.
"""

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from spawner.model import Pool, Template
from web.config import Settings
from web.config_errors import (
    NO_COMPANIONS,
    NO_WALL,
    ConfigError,
    Source,
    docker_faults,
    explain,
)


class Recipes(BaseModel):
    """The two tables of a configuration that say what is run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    templates: dict[str, Template] = Field({})
    pools: dict[str, Pool] = Field({})

    @field_validator("templates", mode="before")
    @classmethod
    def _named_by_their_keys(cls, value: object) -> object:
        return Settings.named_by_their_keys(value)


def read_recipes(values: Mapping[str, object], sources: Iterable[Source] = ()) -> Recipes:
    """Check ``values``, which look like a configuration that has these two tables alone.

    Raises:
        ConfigError: With one line for each mistake.
    """
    named = list(sources)
    try:
        recipes = Recipes.model_validate(values)
    except ValidationError as error:
        raise ConfigError(explain(error, named)) from error
    lines = [
        f"tmpenv: templates.{name}.name: must be {name}, as its table is called"
        for name, template in recipes.templates.items()
        if template.name != name
    ]
    lines += [
        f"tmpenv: pools.{name}: there is no such template"
        for name in recipes.pools
        if name not in recipes.templates
    ]
    if lines:
        raise ConfigError(lines)
    return recipes


def backend_faults(template: Template, backend: str, reach: str) -> list[str]:
    """Say what a backend lacks to run a template."""
    if backend == "docker":
        return [": ".join((*key, text)) for key, text in docker_faults(template, reach)]
    if backend == "process" and template.command is None:
        text = "the process backend has no image that would bring a command"
        return [f'command: {text}; set command = "…", or use --backend docker']
    if backend == "process" and template.egress != "open":
        return [f"egress: {NO_WALL}"]
    if backend == "process" and template.services:
        return [f"services: {NO_COMPANIONS}"]
    return []
