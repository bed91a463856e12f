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
nothing redirects, since old clients do not follow (contract binder §0.5). Those of a
part that is ``plain`` are found where they are written alone, and their handlers read,
check and answer for themselves: such a part is described, and else is as it was.
"""

import functools
import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, get_type_hints

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from spawner.errors import ServiceError
from spawner.nearest import nearest
from web.auth import has_scope
from web.problems import Problem, RequestRefused, problem_of
from web.scopes import Scope
from web.strict_json import NotJsonError, parse

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


def _no_boolean(value: object) -> object:
    if value is True or value is False:
        raise ValueError("must be a number")
    return value


#: For numbers, which are taken as texts too, but not as true and false.
NUMBER = BeforeValidator(_no_boolean)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What a name in a path stands for."""

    description: str
    #: What all that can be found there look like.
    pattern: str = ""
    example: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation as it is documented."""

    method: str
    #: As it is written first; the others lead to the same.
    path: str
    also: tuple[str, ...]
    name: str
    summary: str
    #: What the handler's docstring says beyond its first line.
    description: str
    tag: str
    is_plain: bool
    parameters: Mapping[str, Parameter]
    scope: Scope | None
    body: type[BaseModel] | None
    #: Whether the body may be left out.
    is_body_optional: bool
    query: type[BaseModel] | None
    answer: Any
    #: Media type → what is in it, for answers that are no JSON.
    gives: Mapping[str, str]
    #: Whether HEAD is answered as well; not where an answer may have no end.
    has_head: bool
    #: Status → types of the errors that it may have, besides those that any may.
    fails: Mapping[int, tuple[str, ...]]
    handler: Handler


class Operations:
    """The operations of one part of the interface."""

    def __init__(
        self,
        tag: str,
        *,
        types: Mapping[str, str] | None = None,
        parameters: Mapping[str, Parameter] | None = None,
        plain: bool = False,
    ) -> None:
        """Begin with none.

        ``types`` says how this part calls failures that have another code, ``parameters``
        what the names in its paths stand for.
        """
        self._tag = tag
        self._types = types or {}
        self._parameters = parameters or {}
        self._is_plain = plain
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
            served = operation.handler if self._is_plain else self._served(operation)
            # aiohttp answers HEAD wherever it answers GET, unless it is told not to.
            is_deaf = operation.method == "GET" and not operation.has_head
            kwargs = {"allow_head": False} if is_deaf else {}
            for path in (operation.path, *operation.also):
                for one in (path,) if self._is_plain else everywhere(path):
                    yield web.route(operation.method, one, served, **kwargs)

    def _describe(
        self,
        method: str,
        paths: tuple[str, ...],
        *,
        scope: Scope | None = None,
        fails: Mapping[int, str | tuple[str, ...]] | None = None,
        gives: Mapping[str, str] | None = None,
        has_head: bool = True,
        **described: Any,
    ) -> Callable[[Handler], Handler]:
        def describe(handler: Handler) -> Handler:
            # A plain handler cannot say it by its annotations.
            hints = get_type_hints(handler, include_extras=True) | described
            body, is_optional = _model(hints.get("body"))
            query, _ = _model(hints.get("query"))
            summary, _, description = (inspect.getdoc(handler) or "").partition("\n")
            self.all.append(
                Operation(
                    method=method,
                    path=paths[0],
                    also=paths[1:],
                    name=handler.__name__,
                    summary=summary,
                    description=description.partition("Raises:")[0].strip(),
                    tag=self._tag,
                    is_plain=self._is_plain,
                    parameters=self._parameters,
                    scope=scope,
                    body=body,
                    is_body_optional=is_optional,
                    query=query,
                    answer=hints.get("answer", hints.get("return")),
                    gives=gives or {},
                    has_head=has_head and method == "GET",
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
                if operation.scope is not None:
                    require(request, operation.scope)
                return _answer(await handler(request, **await _arguments(operation, request)))
            except (ServiceError, RequestRefused) as error:
                return self._tell(problem_of(error))

        return serve

    def _tell(self, problem: Problem) -> web.Response:
        body = {**problem.body, "type": self._types.get(problem.code, problem.code)}
        return web.json_response(body, status=problem.status, headers=problem.headers)


def require(request: web.Request, scope: Scope) -> None:
    """Refuse a request that may not do this, in the words of this interface."""
    if not has_scope(request, scope):
        raise _UNAUTHORIZED


def operations_of(module: object) -> list[Operation]:
    """Give the operations that a module describes as its ``api``; a page has none."""
    api = getattr(module, "api", None)
    return api.all if isinstance(api, Operations) else []


async def _arguments(operation: Operation, request: web.Request) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if operation.query is not None:
        given["query"] = _fit(operation.query, _read_query(request, operation.query))
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
        body = parse(raw)
    except NotJsonError as error:
        raise RequestRefused(HTTPStatus.BAD_REQUEST, "malformedRequest", str(error)) from error
    if not isinstance(body, dict):
        raise malformed("The body must be a JSON object.")
    return body


def everywhere(path: str) -> tuple[str, ...]:
    """List the paths at which an operation is found that is written at ``path``."""
    bare = path.removeprefix("/api")
    return bare, f"{bare}/", f"/api{bare}", f"/api{bare}/"


def malformed(text: str) -> RequestRefused:
    """Make the refusal of a request that is read, but says nothing that can be done."""
    return RequestRefused(HTTPStatus.UNPROCESSABLE_ENTITY, "malformedRequest", text)


def kebab(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give the names of an object as this interface writes them (contract binder §1.0)."""
    given: dict[str, Any] = {}
    for written in body:
        name = _CAMEL.sub("-", written).replace("_", "-").lower()
        if name in given:
            raise malformed(f"{name[:80]}: is given twice.")
        given[name] = body[written]
    return given


def _read_query(request: web.Request, model: type[BaseModel]) -> dict[str, Any]:
    """Give those parameters that the operation has; pages and caches add some of their own."""
    if any("\0" in text for pair in request.query.items() for text in pair):
        raise malformed("The query has a NUL.")
    known = {field.alias or name for name, field in model.model_fields.items()}
    given: dict[str, Any] = {}
    for written, value in request.query.items():
        name, text = next(iter(kebab({written: value}).items()))
        if name in given:
            raise malformed(f"{name[:80]}: is given twice.")
        if name in known:
            given[name] = text
    return given


def _fit(model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise malformed(_told(error, model)) from error


def _told(error: ValidationError, model: type[BaseModel]) -> str:
    """Say what does not fit: first what is not there, in the words that clients know."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    missing = [str(one["loc"][0]) for one in found if one["type"] == "missing" and one["loc"]]
    if missing:
        return "Request does not contain the required parameters for this endpoint: " + ", ".join(
            missing
        )
    return "; ".join(
        ": ".join((".".join(map(str, one["loc"])), _fault(one, model))).removeprefix(": ")
        for one in found
    )


def _fault(found: ErrorDetails, model: type[BaseModel]) -> str:
    """Say what is wrong with one value; of a field that there is not, the nearest that there is."""
    if found["type"] != "extra_forbidden" or len(found["loc"]) > 1:
        return found["msg"].removeprefix("Value error, ")
    known = [field.alias or name for name, field in model.model_fields.items()]
    meant = nearest(str(found["loc"][0]), known)
    return f"there is no such field; did you mean {meant}?" if meant else "no such field"


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
