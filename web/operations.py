"""Describe an operation once: its route, its reading of a request, and its documentation.

A handler says by its annotations what it takes and gives::

    api = Operations("builds")

    @api.post("/builds", scope=Scope.BUILD, fails={404: "noBuildInfo"})
    async def start_build(request: web.Request, body: StartBuild) -> BuildView:
        \"\"\"Build an image from a repository.\"\"\"

``body`` is read from JSON and ``query`` from the query string, each into its pydantic
model; what does not fit is refused before the handler runs. The answer is a model, a
list of models, or a response of the handler's own. Whoever speaks for the whole
interface (:mod:`web.openapi`) reads :attr:`Operations.all`.

Every operation is found with and without a trailing slash, and also under ``/api``;
nothing redirects, since old clients do not follow (contract binder §0.5).
"""

import functools
import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, get_type_hints

from aiohttp import web
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from spawner.errors import ServiceError
from web.auth import has_scope
from web.problems import Problem, RequestRefused, problem_of
from web.scopes import Scope

Handler = Callable[..., Awaitable[Any]]
_NO_STORE = {"Cache-Control": "no-store"}
#: Clients know this one by its type (contract binder §1.0, D-21).
_UNAUTHORIZED = RequestRefused(HTTPStatus.FORBIDDEN, "unauthorized", "Unauthorized request")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Wire(BaseModel):
    """What crosses the wire: kebab-case names, whatever the case they come in."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        alias_generator=lambda name: name.replace("_", "-"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation as it is documented."""

    method: str
    #: As it is written first; the others lead to the same.
    path: str
    also: tuple[str, ...]
    name: str
    summary: str
    tag: str
    scope: Scope | None
    body: type[BaseModel] | None
    #: Whether the body may be left out.
    is_body_optional: bool
    query: type[BaseModel] | None
    answer: Any
    #: Status → types of the errors that it may have, besides those that any may.
    fails: Mapping[int, tuple[str, ...]]
    handler: Handler


class Operations:
    """The operations of one part of the interface."""

    def __init__(self, tag: str, *, types: Mapping[str, str] | None = None) -> None:
        """Begin with none; ``types`` says how this part calls failures that have another code."""
        self._tag = tag
        self._types = types or {}
        self.all: list[Operation] = []

    def get(self, *paths: str, **facts: Any) -> Callable[[Handler], Handler]:
        """Describe a GET."""
        return self._describe("GET", paths, **facts)

    def post(self, *paths: str, **facts: Any) -> Callable[[Handler], Handler]:
        """Describe a POST."""
        return self._describe("POST", paths, **facts)

    def put(self, *paths: str, **facts: Any) -> Callable[[Handler], Handler]:
        """Describe a PUT."""
        return self._describe("PUT", paths, **facts)

    def delete(self, *paths: str, **facts: Any) -> Callable[[Handler], Handler]:
        """Describe a DELETE."""
        return self._describe("DELETE", paths, **facts)

    def routes(self) -> list[web.RouteDef]:
        """List what is served."""
        return list(self._routes())

    def _routes(self) -> Iterator[web.RouteDef]:
        for operation in self.all:
            served = self._served(operation)
            for path in (operation.path, *operation.also):
                bare = path.removeprefix("/api")
                for one in (bare, f"{bare}/", f"/api{bare}", f"/api{bare}/"):
                    yield web.route(operation.method, one, served)

    def _describe(
        self,
        method: str,
        paths: tuple[str, ...],
        *,
        scope: Scope | None = None,
        fails: Mapping[int, str | tuple[str, ...]] | None = None,
    ) -> Callable[[Handler], Handler]:
        def describe(handler: Handler) -> Handler:
            hints = get_type_hints(handler, include_extras=True)
            body, is_optional = _model(hints.get("body"))
            query, _ = _model(hints.get("query"))
            self.all.append(
                Operation(
                    method=method,
                    path=paths[0],
                    also=paths[1:],
                    name=handler.__name__,
                    summary=(inspect.getdoc(handler) or "").partition("\n")[0],
                    tag=self._tag,
                    scope=scope,
                    body=body,
                    is_body_optional=is_optional,
                    query=query,
                    answer=hints.get("return"),
                    fails={
                        status: (types,) if isinstance(types, str) else types
                        for status, types in (fails or {}).items()
                    },
                    handler=handler,
                )
            )
            return handler

        return describe

    def _served(self, operation: Operation) -> Callable[[web.Request], Awaitable[web.Response]]:
        handler = operation.handler

        @functools.wraps(handler)
        async def serve(request: web.Request) -> web.Response:
            try:
                if operation.scope is not None and not has_scope(request, operation.scope):
                    raise _UNAUTHORIZED
                return _answer(await handler(request, **await _arguments(operation, request)))
            except (ServiceError, RequestRefused) as error:
                return self._tell(problem_of(error))

        return serve

    def _tell(self, problem: Problem) -> web.Response:
        body = {**problem.body, "type": self._types.get(problem.code, problem.code)}
        return web.json_response(body, status=problem.status, headers=problem.headers)


async def _arguments(operation: Operation, request: web.Request) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if operation.query is not None:
        given["query"] = _fit(operation.query, kebab(dict(request.query)))
    if operation.body is not None:
        body = await read_object(request)
        is_left_out = body is None and operation.is_body_optional
        given["body"] = None if is_left_out else _fit(operation.body, kebab(body or {}))
    return given


async def read_object(request: web.Request) -> dict[str, Any] | None:
    """Read a JSON object; None for an empty body, whatever it says that it is.

    Raises:
        RequestRefused: It is something else.
    """
    raw = await request.read()
    if not raw.strip():
        return None
    if request.content_type not in ("application/json", "application/octet-stream"):
        # Who names no type at all is read as octet-stream by aiohttp.
        raise RequestRefused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupportedMediaType",
            "The body must be JSON: send Content-Type: application/json.",
        )
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise RequestRefused(
            HTTPStatus.BAD_REQUEST, "malformedRequest", "The body is no JSON."
        ) from error
    if not isinstance(body, dict):
        raise malformed("The body must be a JSON object.")
    return body


def malformed(text: str) -> RequestRefused:
    """Make the refusal of a request that is read, but says nothing that can be done."""
    return RequestRefused(HTTPStatus.UNPROCESSABLE_ENTITY, "malformedRequest", text)


def kebab(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give the names of an object as this interface writes them (contract binder §1.0)."""
    return {_CAMEL.sub("-", name).replace("_", "-").lower(): body[name] for name in body}


def _fit(model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise malformed(_told(error)) from error


def _told(error: ValidationError) -> str:
    """Say what does not fit: first what is not there, in the words that clients know."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    missing = [str(one["loc"][0]) for one in found if one["type"] == "missing" and one["loc"]]
    if missing:
        return "Request does not contain the required parameters for this endpoint: " + ", ".join(
            missing
        )
    return "; ".join(
        ": ".join((".".join(map(str, one["loc"])), one["msg"].removeprefix("Value error, ")))
        for one in found
    )


def _model(hint: Any) -> tuple[type[BaseModel] | None, bool]:
    """Give the model of a parameter, and whether it may be None."""
    if hint is None:
        return None, False
    options = [one for one in getattr(hint, "__args__", (hint,)) if one is not type(None)]
    return options[0], len(options) < len(getattr(hint, "__args__", (hint,)))


def _answer(given: Any) -> web.Response:
    if isinstance(given, web.StreamResponse):
        return given  # type: ignore[return-value]  # a stream is one as well
    text = TypeAdapter(type(given) if isinstance(given, BaseModel) else Any).dump_json(
        given, by_alias=True, exclude_none=True
    )
    return web.Response(body=text, content_type="application/json", headers=_NO_STORE)
