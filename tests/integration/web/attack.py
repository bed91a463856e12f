"""Try everything that an OpenAPI document allows, and much that it does not.

Whatever operations the document has are tried, with what fits their schemas and with
what does not, with the operator's key and without. Each answer must be one that is
documented, in the form that is documented.
"""

from collections.abc import Mapping
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

load_all_checks()
#: What each answer is held to; that none is 500 is asserted beside them.
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
TIMEOUT_S = 20


def attack(
    url: str, document: Mapping[str, Any], *, key: str, examples: int, leave_out: frozenset[str]
) -> tuple[set[str], list[str]]:
    """Try everything; give what was tried, by operation and status, and what was wrong."""
    schema = schemathesis.openapi.from_dict(dict(document))
    tried: set[str] = set()
    wrong: list[str] = []
    with requests.Session() as session:
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.definition.raw["operationId"] in leave_out:
                continue
            for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
                _attack_one(operation, mode, url, session, key, examples, tried, wrong)
    return tried, wrong


def _attack_one(operation, mode, url, session, key, examples, tried, wrong) -> None:
    from hypothesis.errors import Unsatisfiable

    @seed(1)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def attempt(case):
        response = case.call(
            base_url=url,
            session=session,
            headers={"Authorization": f"token {key}"},
            timeout=TIMEOUT_S,
            allow_redirects=False,
        )
        tried.add(f"{operation.label} {response.status_code}")
        assert response.status_code != 500, (case.as_curl_command(), response.text)
        case.validate_response(response, checks=CHECKS)

    try:
        attempt()
    except Unsatisfiable:
        pass
    except (FailureGroup, Exception) as e:
        wrong.append(f"{operation.label} {mode}: {type(e)} {e} {getattr(e, 'exceptions', '')}")
