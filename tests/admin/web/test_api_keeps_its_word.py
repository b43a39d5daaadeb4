"""Whatever the API is sent, it answers as its document says. Schemathesis makes the calls up."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from admin.api.openapi import document
from admin.api.operations import OPERATIONS
from tests import people
from tests.admin.web.conftest import Site
from tests.admin.web.test_tokens_page import bearer
from tests.admin.web.test_who_may_do_what import make_objects, new_token

ROLES = (people.IT, people.HEAD, people.CLERK)
EXAMPLES = 3
CHECKS = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_headers_conformance, response_schema_conformance),
]


async def test_every_answer_is_as_the_document_says(site: Site) -> None:
    await make_objects(site)
    tokens = [bearer(await new_token(site, role, "the API")) for role in ROLES]
    called = await asyncio.to_thread(_call_all, site, tokens)
    assert called.keys() == {one.name for one in OPERATIONS}
    assert set().union(*called.values()) >= {200, 201, 403, 404, 409, 422}, called


def test_every_body_has_an_example_that_is_taken() -> None:
    shapes = json.loads(document())["components"]["schemas"]
    bodies = {one.body for one in OPERATIONS if one.takes_body}
    for body in bodies:
        (shown,) = shapes[body.__name__]["examples"]
        body.model_validate_json(json.dumps(shown))


def _call_all(site: Site, tokens: list[dict[str, str]]) -> dict[str, set[int]]:
    """Call every operation with each of these; return which statuses were answered."""
    schema = schemathesis.openapi.from_dict(json.loads(document()))
    with requests.Session() as session:
        return {
            operation.definition.raw["operationId"]: _call(operation, site, tokens, session)
            for operation in (schema[path][method] for path in schema for method in schema[path])
        }


def _call(
    operation: APIOperation[Any, Any, Any, Any],
    site: Site,
    tokens: list[dict[str, str]],
    session: requests.Session,
) -> set[int]:
    statuses = set()
    # As the document says, and otherwise.
    cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode])

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, token=st.sampled_from(tokens))
    def check(case: Case[Any], token: dict[str, str]) -> None:
        number = case.path_parameters.get("id")
        if isinstance(number, int):
            case.path_parameters["id"] = number % 4  # One that there may be.
        # So that no token is used too often.
        site.clock.at += timedelta(seconds=1)
        answer = case.call(base_url=f"{site.url}/api/v1", headers=token, session=session)
        case.validate_response(answer, checks=CHECKS)
        statuses.add(answer.status_code)

    check()
    return statuses
