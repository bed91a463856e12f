"""Turn the OpenAPI document into what its page shows. Pure: it reads the document alone."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
#: Objects within objects are shown so far, and then by their name.
_DEPTH = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One name and what is said of it."""

    name: str
    #: How far it is within others.
    depth: int
    kind: str
    is_required: bool
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One operation as the page shows it."""

    anchor: str
    method: str
    path: str
    summary: str
    paragraphs: tuple[str, ...]
    needs_key: bool
    parameters: tuple[Row, ...]
    body: tuple[Row, ...]
    answer: tuple[Row, ...]
    media: tuple[str, ...]
    #: Status and what it means.
    responses: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """The operations of one part."""

    name: str
    operations: tuple[Shown, ...]


def sections(document: Json) -> list[Section]:
    """Give the parts of the interface, in the order of the document."""
    shown: dict[str, list[Shown]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            shown[described["tags"][0]].append(_show(document, path, method, described))
    return [Section(name, tuple(operations)) for name, operations in shown.items()]


def _show(document: Json, path: str, method: str, described: Json) -> Shown:
    success = described["responses"]["200"]
    body = described.get("requestBody", {}).get("content", {})
    return Shown(
        anchor=described["operationId"],
        method=method.upper(),
        path=path,
        summary=described["summary"],
        paragraphs=tuple(described.get("description", "").split("\n\n")),
        needs_key=bool(described["security"]) and {} not in described["security"],
        parameters=tuple(
            Row(
                one["name"],
                0,
                _kind(document, one["schema"]),
                one["required"],
                one.get("description", ""),
            )
            for one in described.get("parameters", ())
        ),
        body=_rows_of_json(document, body),
        answer=_rows_of_json(document, success["content"]),
        media=tuple(success["content"]),
        responses=tuple(
            (status, one["description"]) for status, one in described["responses"].items()
        ),
    )


def _rows_of_json(document: Json, content: Json) -> tuple[Row, ...]:
    schema = content.get("application/json", {}).get("schema", {})
    return tuple(_rows(document, schema, 0))


def _rows(document: Json, schema: Json, depth: int) -> Iterator[Row]:
    schema = next(iter(_choices(document, schema)), schema)
    if "items" in schema:
        schema = _resolved(document, schema["items"])
    required = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        meant = next(iter(_choices(document, one)), one)
        text = one.get("description") or meant.get("description", "")
        if "default" in one and one["default"] not in (None, ""):
            text = f"{text} (default {json.dumps(one['default'])})".strip()
        yield Row(name, depth, _kind(document, one), name in required, text)
        if depth + 1 < _DEPTH:
            yield from _rows(document, meant, depth + 1)


def _kind(document: Json, schema: Json) -> str:
    """Say in a few words what a value is."""
    choices = [_kind_of_one(document, one) for one in _choices(document, schema)]
    return " or ".join(dict.fromkeys(choices)) or "null"


def _kind_of_one(document: Json, schema: Json) -> str:
    if "enum" in schema:
        return " | ".join(str(one) for one in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"list of {_kind(document, schema.get('items', {}))}"
    return {"boolean": "true or false", "object": "object"}.get(kind, str(kind))


def _choices(document: Json, schema: Json) -> Iterable[Json]:
    """Give what a value may be, but for nothing at all."""
    schema = _resolved(document, schema)
    for one in schema.get("anyOf", (schema,)):
        resolved = _resolved(document, one)
        if resolved.get("type") != "null":
            yield resolved


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        found: Json = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        schema = {**found, **{name: schema[name] for name in schema if name != "$ref"}}
    return schema
