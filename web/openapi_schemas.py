"""The JSON schemas of everything that operations take and give, under one name each.

Made by pydantic from the models that read the requests and write the answers, so that
a document cannot say anything else than the code does.
"""

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Literal

from aiohttp import web
from pydantic import TypeAdapter

from web.operations import Operation

Schema = dict[str, Any]
Mode = Literal["validation", "serialization"]
#: A key of pydantic's: which operation, and what of it.
_Key = tuple[int, str]

_WHERE = "#/components/schemas/{model}"


class Schemas:
    """The schemas of some operations."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        """Make them all at once: names that two models share are told apart."""
        wanted = [(key, mode, TypeAdapter(kind)) for key, mode, kind in _wanted(operations)]
        made, rest = TypeAdapter.json_schemas(wanted, ref_template=_WHERE)
        self._made: Mapping[_Key, Schema] = {key: schema for (key, _), schema in made.items()}
        #: Those that others refer to.
        self.shared: Schema = rest.get("$defs", {})
        self._of_queries: Schema = {}

    def body(self, operation: Operation) -> Schema:
        """Give that of the body."""
        return self._made[id(operation), "body"]

    def answer(self, operation: Operation) -> Schema:
        """Give that of the answer; of anything where the handler does not say."""
        return self._made.get((id(operation), "answer"), {})

    def query(self, operation: Operation) -> tuple[Schema, frozenset[str]]:
        """Give those of the parameters of the query, by name, and which must be there."""
        schema = self._made.get((id(operation), "query"), {})
        if "$ref" in schema:
            # Only queries refer to it, so it need not be among the shared ones.
            name = schema["$ref"].rpartition("/")[2]
            if name in self.shared:
                self._of_queries[name] = self.shared.pop(name)
            schema = self._of_queries[name]
        return schema.get("properties", {}), frozenset(schema.get("required", ()))


def _wanted(operations: Iterable[Operation]) -> Iterable[tuple[_Key, Mode, Any]]:
    for one in operations:
        if one.body is not None:
            yield (id(one), "body"), "validation", one.body
        if one.query is not None:
            yield (id(one), "query"), "validation", one.query
        if not is_own_response(one.answer):
            yield (id(one), "answer"), "serialization", one.answer


def is_own_response(answer: Any) -> bool:
    """Say whether a handler makes its response itself, so that its annotation says nothing."""
    if answer in (None, NoneType, Any):
        return True
    return isinstance(answer, type) and issubclass(answer, web.StreamResponse)
