"""Turn templates into the documents of the Binder API and back.

Pure. What was registered is shown in the words in which it was given: ``"512MB"`` is no
number of bytes, and a limit that nobody gave is not shown. Variables are secrets: who
shows a template decides whether they go with it.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, model_validator

from spawner.model import Auth, Template
from spawner.store.recipes import Recipe
from spawner.units import NEVER
from web.operations import NUMBER, Wire, kebab, malformed
from web.views import timestamp

#: What stands in names of images, and in those of templates as a dash.
_PARTED = re.compile(r"[/:@]+")
_NAMES = "1 to 63 of a-z, 0-9, dots, dashes and underscores, beginning with a letter or a digit"
#: Fields that are shown and mean nothing in what is put: clients send back what they got.
_SHOWN_ONLY = ("time-created", "time-modified", "declared")


_LONGEST_S = 10**9


Amount = Annotated[str | int | float, NUMBER]


def _kebab(value: object) -> object:
    return kebab(value) if isinstance(value, dict) else value


class Limits(Wire):
    """The most that an environment gets; what is not named is as tmpenv has it."""

    memory: Amount | None = Field(None, description='"512MB", "4g", "512Mi", or bytes')
    cpu: Amount | None = Field(None, description='Processors: "0.5", "500m", 10')
    pids: int | None = Field(None, description="Processes and threads")
    disk: Amount | None = Field(None, description="As memory")


class ServiceAsked(Wire):
    """A service beside each environment."""

    name: str
    version: str | None = None
    params: dict[str, Any] = Field({})


class TemplateFields(Wire):
    """All that a template may say, besides its image."""

    name: str | None = Field(None, description="From image-name where absent; lower-cased")
    image_name: str | None = Field(None, min_length=1, description="What the image is called")
    image_source: str | None = Field(None, description="Where it is pulled; image-name if absent")
    limits: Annotated[Limits | None, BeforeValidator(_kebab)] = None
    services: tuple[ServiceAsked, ...] | None = None
    command: str | tuple[str, ...] | None = Field(None, description="The image's own where empty")
    port: int | None = None
    cull_timeout: Annotated[
        Annotated[int | float, Field(gt=0, le=_LONGEST_S), NUMBER] | None,
        Field(description="Seconds without use until it is ended"),
    ] = None
    env: dict[str, str] | None = Field(None, description="Shown with a key of scope template alone")
    auth: Auth | None = None
    urlpath: str | None = None
    title: str | None = None
    description: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _unwrapped(cls, values: Any) -> Any:
        """Take ``{"template": {…}}`` as well, as the first clients sent it."""
        if isinstance(values, dict) and values.keys() == {"template"}:
            values = kebab(values["template"]) if isinstance(values["template"], dict) else {}
        if not isinstance(values, dict):
            return values
        return {name: one for name, one in values.items() if name not in _SHOWN_ONLY}


class NewTemplate(TemplateFields):
    """A template as it is registered."""

    image_name: str = Field(min_length=1, description="What the image is called")


class TemplateDocument(BaseModel):
    """A template as it is shown."""

    model_config = Wire.model_config

    name: str
    image_name: str
    image_source: str
    limits: dict[str, Any] | None = None
    services: list[Any] = []
    command: str | list[str] = []
    port: int
    cull_timeout: float | int | None = Field(None, description="Seconds")
    env: dict[str, str] | None = None
    auth: str
    urlpath: str
    title: str = ""
    description: str = ""
    declared: bool = Field(description="The server's configuration has it; it cannot be changed")
    time_created: str | None = None
    time_modified: str | None = None


class TemplateStatus(BaseModel):
    """Whether a template can be launched."""

    status: Literal["completed", "pending", "failed"]


def name_of(fields: TemplateFields) -> str:
    """Give the name under which a template is kept."""
    return (fields.name or _PARTED.sub("-", fields.image_name or "").strip("-")).lower()


def wording_of(fields: TemplateFields) -> dict[str, Any]:
    """Give what was said, in the words in which it was."""
    return fields.model_dump(mode="json", by_alias=True, exclude_unset=True)


def merged(wording: Mapping[str, Any], change: TemplateFields) -> NewTemplate:
    """Change what is named, and keep the rest; null takes a field back.

    Raises:
        RequestRefused: What comes of it is no template.
    """
    changed = wording_of(change)
    facts = {**wording, **changed}
    if "image-name" in changed and "image-source" not in changed:
        # Another image is meant, and not another name of this one.
        facts.pop("image-source", None)
    facts = {name: one for name, one in facts.items() if one is not None}
    try:
        return NewTemplate.model_validate(facts)
    except ValidationError as error:
        raise malformed("image-name: must be there") from error


def template_of(name: str, fields: NewTemplate) -> Template:
    """Make the template that is meant.

    Raises:
        RequestRefused: It cannot be one; the text says why.
    """
    limits = fields.limits or Limits()
    facts = {
        "name": name,
        "image": fields.image_source or fields.image_name,
        "command": fields.command or None,
        "memory": limits.memory,
        "cpus": limits.cpu,
        "pids": limits.pids,
        "disk": limits.disk,
        "idle_timeout": fields.cull_timeout,
        "services": [one.model_dump(exclude_none=True) for one in fields.services or ()],
        **{one: getattr(fields, one) for one in _SAME},
    }
    try:
        return Template.model_validate({key: one for key, one in facts.items() if one is not None})
    except ValidationError as error:
        raise malformed("; ".join(_faults(error))) from error


def document_of(recipe: Recipe, *, is_declared: bool, with_env: bool) -> TemplateDocument:
    """Show a template."""
    template, wording = recipe.template, recipe.wording
    command = template.command or ()
    return TemplateDocument(
        name=template.name,
        image_name=wording.get("image-name", template.image),
        image_source=template.image,
        limits=wording["limits"] if "limits" in wording else _limits_of(template),
        services=[one.model_dump() for one in template.services],
        command=command if isinstance(command, str) else list(command),
        port=template.port,
        cull_timeout=wording.get("cull-timeout", _timeout_of(template)),
        env=dict(template.env) if with_env and template.env else None,
        auth=template.auth.value,
        urlpath=template.urlpath,
        title=template.title,
        description=template.description,
        declared=is_declared,
        time_created=timestamp(recipe.created_at),
        time_modified=timestamp(recipe.modified_at),
    )


_SAME = ("port", "env", "auth", "urlpath", "title", "description")
_CALLED = {"image": "image-name", "memory": "limits.memory", "cpus": "limits.cpu"} | {
    "pids": "limits.pids",
    "disk": "limits.disk",
    "idle_timeout": "cull-timeout",
}


def _limits_of(template: Template) -> dict[str, Any] | None:
    """Give the limits that are not tmpenv's own."""
    said = template.model_dump(exclude_defaults=True)
    limits = {"memory": "memory", "cpu": "cpus", "pids": "pids", "disk": "disk"}
    return {name: said[key] for name, key in limits.items() if key in said} or None


def _timeout_of(template: Template) -> float | None:
    timeout = template.idle_timeout
    return None if timeout is None or timeout == NEVER else timeout.total_seconds()


def _faults(error: ValidationError) -> list[str]:
    lines = []
    for found in error.errors(include_url=False, include_context=False, include_input=False):
        key = str(found["loc"][0]) if found["loc"] else ""
        text = found["msg"].removeprefix("Value error, ")
        if key == "name":
            text = f"must be {_NAMES}"
        lines.append(f"{_CALLED.get(key, key)}: {text}".removeprefix(": "))
    return list(dict.fromkeys(lines))
