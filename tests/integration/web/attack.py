"""Try everything that an OpenAPI document allows, and much that it does not.

Whatever operations a document has are tried, with what fits their schemas and with what
does not. Each answer must be one that is documented, in the form that is documented.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

#: What each answer is held to; that none is 500 is asserted beside them.
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
#: Longer than anything may take that is not followed.
TIMEOUT_S = 20
#: Streams without end are tried by tests of their own.
_ENDLESS = {"follow", "format"}


@dataclass
class Attack:
    """One go at all operations of a service."""

    url: str
    document: Mapping[str, Any]
    headers: Mapping[str, str]
    #: Names that stand for something there: each is put into paths half of the time.
    known: Mapping[str, str] = field(default_factory=dict)
    #: What is tried for each operation and each way of making it up.
    examples: int = 10
    #: Method, path and status of every answer.
    answered: set[tuple[str, str, int]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)

    def run(self, *, leave_out: Iterable[str] = ()) -> None:
        """Try everything but the operations with these ids; blocks."""
        left_out = set(leave_out)
        with requests.Session() as session:
            schema = schemathesis.openapi.from_dict(dict(self.document))
            operations = [found.ok() for found in schema.get_all_operations()]
            # What there is must be there for the others.
            for operation in sorted(operations, key=lambda one: one.method == "delete"):
                if operation.definition.raw["operationId"] not in left_out:
                    for mode in GenerationMode:
                        self._try(session, operation, mode)

    def _try(
        self, session: requests.Session, operation: APIOperation, mode: GenerationMode
    ) -> None:
        @seed(1)
        @settings(
            max_examples=self.examples,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode), st.booleans())
        def attempt(case: Case, is_known: bool) -> None:
            if is_known and self.known:
                case.path_parameters = {**case.path_parameters, **self._named(case)}
            for name in _ENDLESS & set(case.query or {}):
                del case.query[name]
            response = case.call(
                base_url=self.url,
                session=session,
                headers=dict(self.headers),
                timeout=TIMEOUT_S,
                allow_redirects=False,
            )
            self.answered.add((operation.method.upper(), operation.path, response.status_code))
            assert response.status_code != 500, f"{case.as_curl_command()}: {response.text}"
            case.validate_response(response, checks=CHECKS)

        # There may be no way to do wrong, or none to do right.
        with suppress(Unsatisfiable):
            try:
                attempt()
            except (FailureGroup, AssertionError) as error:
                told = "\n".join(map(str, getattr(error, "exceptions", (error,))))
                self.wrong.append(f"{operation.label} ({mode.value}): {error}\n{told}")

    def _named(self, case: Case) -> dict[str, str]:
        return {name: self.known[name] for name in case.path_parameters if name in self.known}
