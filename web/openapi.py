"""Describe the whole interface as an OpenAPI 3.1 document, made from the operations themselves.

An operation documents what it may answer: its own failures, and those that any of its
kind may have. Only 500 is never among them. Clients are generated from the document, and
tests attack by it.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from web.openapi_schemas import Schema, Schemas
from web.operations import Operation, everywhere
from web.scopes import Scope
from web.version import VERSION

#: Says whether a scope needs no key.
IsOpen = Callable[[Scope], bool]

_PLACE = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")
_ERROR = {"$ref": "#/components/schemas/Error"}
_RETRIED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_ABOUT = """\
Every path is found with and without a slash at its end, and those that do not begin with
`/api` also under it, unless it is said otherwise. Nothing redirects. Names in JSON are
kebab-case; `camelCase` and `snake_case` are understood as well. Every failure is an object
with `type`, which is stable, and `error`, which is for people.
"""
_KEY = """\
`Authorization: <key>`, `Authorization: token <key>` or `Authorization: Bearer <key>`. The
operator's key opens everything; a key that was made has the scopes it was made with.
"""


def document(
    operations: Iterable[Operation], *, title: str, mount: str, is_open: IsOpen
) -> dict[str, Any]:
    """Make the document of some operations, as they are found under ``mount``."""
    operations = list(operations)
    schemas = Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        described = _operation(one, schemas, is_open)
        paths.setdefault(_PLACE.sub(r"{\1}", one.path), {})[one.method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION, "description": _ABOUT},
        "servers": [{"url": mount.removesuffix("/") or "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in operations)],
        "paths": paths,
        "components": {
            "schemas": {**schemas.shared, "Error": _error_schema()},
            "securitySchemes": {
                "key": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": _KEY,
                }
            },
        },
    }


def _operation(one: Operation, schemas: Schemas, is_open: IsOpen) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": f"{one.tag}_{one.name}".replace("-", "_"),
        "tags": [one.tag],
        "summary": _markdown(one.summary).removesuffix("."),
        "description": _description(one),
        "parameters": [*_in_path(one), *_in_query(one, schemas)],
        "responses": _responses(one, schemas),
        "security": _security(one, is_open),
    }
    if one.body is not None:
        described["requestBody"] = {
            "required": not one.is_body_optional,
            "content": {"application/json": {"schema": schemas.body(one)}},
        }
    return {name: value for name, value in described.items() if value or name == "security"}


def _description(one: Operation) -> str:
    parts = [_markdown(one.description)]
    if one.also:
        parts.append("Also at " + ", ".join(f"`{path}`" for path in one.also) + ".")
    if one.is_plain:
        parts.append("At this path alone.")
    if one.scope is Scope.READ:
        parts.append("Any key does.")
    elif one.scope is not None:
        parts.append(f"Needs a key of scope `{one.scope}`.")
    return "\n\n".join(part for part in parts if part)


def _markdown(docstring: str) -> str:
    return docstring.replace("``", "`")


def _in_path(one: Operation) -> Iterable[Mapping[str, Any]]:
    for name in _PLACE.findall(one.path):
        schema: Schema = {"type": "string", "minLength": 1}
        described: dict[str, Any] = {"name": name, "in": "path", "required": True}
        if known := one.parameters.get(name):
            described["description"] = known.description
            if known.pattern:
                schema["pattern"] = f"^{known.pattern}$"
            if known.example:
                described["example"] = known.example
        yield {**described, "schema": schema}


def _in_query(one: Operation, schemas: Schemas) -> Iterable[Mapping[str, Any]]:
    properties, required = schemas.query(one)
    for name, schema in properties.items():
        described: dict[str, Any] = {"name": name, "in": "query", "schema": schema}
        if "description" in schema:
            described["description"] = schema["description"]
        yield {**described, "required": name in required}


def _responses(one: Operation, schemas: Schemas) -> dict[str, Any]:
    content: dict[str, Any] = {media: {"schema": {"type": "string"}} for media in one.gives}
    if not content:
        content = {"application/json": {"schema": schemas.answer(one)}}
    told = "; ".join(f"{media}: {text}" for media, text in one.gives.items())
    responses: dict[str, Any] = {"200": {"description": told or "Done.", "content": content}}
    for status, types in sorted(failures(one).items()):
        responses[str(status)] = _failure(HTTPStatus(status), types)
    return responses


def failures(one: Operation) -> dict[int, tuple[str, ...]]:
    """Give the types of failures that an operation may answer, by status."""
    found: dict[int, dict[str, None]] = {}

    def may(status: HTTPStatus, *types: str) -> None:
        found.setdefault(status, {}).update(dict.fromkeys(types))

    for status, types in one.fails.items():
        may(HTTPStatus(status), *types)
    if one.scope is not None:
        may(HTTPStatus.FORBIDDEN, "forbidden" if one.is_plain else "unauthorized")
    may(HTTPStatus.FORBIDDEN, "banned")
    may(HTTPStatus.SERVICE_UNAVAILABLE, "store_unavailable")
    if one.body is not None:
        may(HTTPStatus.BAD_REQUEST, "bad_request" if one.is_plain else "malformedRequest")
        may(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large")
        if not one.is_plain:
            may(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupportedMediaType")
    if not one.is_plain and (one.body or one.query):
        may(HTTPStatus.UNPROCESSABLE_ENTITY, "malformedRequest")
    if "{" in one.path or one.query is not None:
        may(HTTPStatus.REQUEST_URI_TOO_LONG, "url_too_long")
    if "{" in one.path:
        # What is no name at all is found nowhere.
        may(HTTPStatus.NOT_FOUND, "not_found")
    return {status: tuple(types) for status, types in found.items()}


def _failure(status: HTTPStatus, types: Iterable[str]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "description": f"{status.phrase}: " + ", ".join(f"`{one}`" for one in types),
        "content": {"application/json": {"schema": _ERROR}},
    }
    if status in _RETRIED:
        wait = {"description": "Seconds to wait before another try.", "schema": {"type": "string"}}
        told["headers"] = {"Retry-After": wait}
    return told


def _security(one: Operation, is_open: IsOpen) -> list[dict[str, list[str]]]:
    if one.scope is None:
        return []
    key: list[dict[str, list[str]]] = [{"key": []}]
    return [*key, {}] if is_open(one.scope) else key


def _error_schema() -> Schema:
    return {
        "type": "object",
        "description": "A failure.",
        "properties": {
            "type": {"type": "string", "description": "What it is; stable."},
            "error": {"type": "string", "description": "What it is, for people."},
        },
        "required": ["type", "error"],
    }


def interfaces(operations: Iterable[Operation]) -> frozenset[str]:
    """Give the first segments of all paths at which operations are found."""
    return frozenset(
        path.split("/", 2)[1]
        for one in operations
        for written in (one.path, *one.also)
        for path in ((written,) if one.is_plain else everywhere(written))
    )
