"""The OpenAPI document: made from the operations that are served, and from nothing else."""

import functools
import json
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from starlette.routing import compile_path

from admin.api.operation import Nothing, Operation
from admin.api.operations import OPERATIONS, SUBJECTS
from admin.api.problems import KINDS, MEDIA_TYPE, Problem
from admin.api_tokens import SCOPES
from admin.call_limit import AGAIN_EVERY, MOST_AT_ONCE

_REF = "#/components/schemas/{model}"
# In the path: a number that the database can hold; any other text is one part of it.
_NUMBER = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
_TEXT = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}
_ABOUT = f"""What people do in the admin site, for their programs. An operation does what the page does, for \
the person whose token it is, and refuses what the page refuses.

Send a token as `Authorization: Bearer tg_...`. Each person makes their own at `/tokens`; it never grants \
more than its person may do now. A token may be used once every {AGAIN_EVERY.total_seconds():g} s, and \
{MOST_AT_ONCE} times at once; beyond that the answer is 429, with `Retry-After`.

Lists that go on have a `next`: the address of what follows. Times are UTC (RFC 3339)."""


@functools.cache
def document() -> str:
    """Return the document, as JSON."""
    schemas, parts = _schemas()
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        path = re.sub(r"{(\w+):\w+}", r"{\1}", one.path)
        paths.setdefault(path, {})[one.method.lower()] = _operation(one, schemas)
    told = {
        "openapi": "3.1.0",
        "info": {"title": "Towngate", "version": version("towngate"), "description": _ABOUT},
        "servers": [{"url": "/api/v1"}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": said} for name, (said, _) in SUBJECTS.items()],
        "paths": paths,
        "components": {
            "schemas": parts,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "\n".join(f"- `{scope}`: {said}" for scope, said in SCOPES.items()),
                }
            },
        },
    }
    return json.dumps(told)


class _Naming(GenerateJsonSchema):
    """Names a list of visits VisitList, where pydantic has Listed_Visit_."""

    def normalize_name(self, name: str) -> str:
        """Return the name of a part of the document."""
        return super().normalize_name(re.sub(r"^Listed\[(\w+)\]$", r"\1List", name))


type _Schemas = Mapping[Any, dict[str, Any]]


def _schemas() -> tuple[_Schemas, dict[str, Any]]:
    """Return what is taken and answered as schemas, and the parts they refer to."""
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(Problem, "serialization")]
    for one in OPERATIONS:
        models.append((one.answers, "serialization"))
        models += [(taken, "validation") for taken in (one.query, one.body) if taken is not Nothing]
    schemas, parts = models_json_schema(
        list(dict.fromkeys(models)), ref_template=_REF, schema_generator=_Naming
    )
    # What a query has is told as parameters; only what these refer to is needed.
    queries = {one.query.__name__ for one in OPERATIONS}
    return schemas, {name: part for name, part in parts["$defs"].items() if name not in queries}


def _operation(one: Operation, schemas: _Schemas) -> dict[str, Any]:
    said = one.description
    if one.scope is not None:
        said = f"Scope: `{one.scope.value}`.{f'\n\n{said}' if said else ''}"
    told: dict[str, Any] = {
        "operationId": one.name,
        "tags": [next(name for name, (_, operations) in SUBJECTS.items() if one in operations)],
        "summary": one.summary,
        "description": said,
        "parameters": [*_path_parameters(one), *_query_parameters(one)],
        "responses": {
            str(one.status): {
                "description": "Done." if one.method == "POST" else "This is it.",
                "content": {"application/json": {"schema": schemas[one.answers, "serialization"]}},
            },
            **_problems(one, schemas[Problem, "serialization"]),
        },
    }
    if one.takes_body:
        schema = schemas[one.body, "validation"]
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return told


def _path_parameters(one: Operation) -> Iterable[dict[str, Any]]:
    _, _, convertors = compile_path(one.path)
    for name in convertors:
        schema = _NUMBER if f"{{{name}:number}}" in one.path else _TEXT
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(one: Operation) -> Iterable[dict[str, Any]]:
    schema = one.query.model_json_schema(ref_template=_REF)
    for name, of_field in schema.get("properties", {}).items():
        described = {"description": of_field.pop("description")} if "description" in of_field else {}
        required = name in schema.get("required", ())
        yield {
            "name": name,
            "in": "query",
            "required": required,
            **described,
            "schema": _without_null(of_field),
        }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a text in an address: what is not there is left out, not null."""
    rest = {name: value for name, value in schema.items() if name not in ("anyOf", "default", "title")}
    for choice in schema.get("anyOf", ()):
        if choice != {"type": "null"}:
            return {**rest, **choice}
    return rest


def _problems(one: Operation, schema: dict[str, Any]) -> dict[str, Any]:
    """Return what can be refused, by status."""
    refused = {401, 403, 429, 500, 503}
    refused |= {404} if "{" in one.path else set()
    refused |= {404, 409} if one.method == "POST" else set()
    refused |= {400, 413, 415} if one.takes_body else set()
    refused |= {422}
    content = {MEDIA_TYPE: {"schema": schema}}
    told = {}
    for status in sorted(refused):
        titles = [f"{kind.title}: {kind.said}" for kind in KINDS.values() if kind.status == status]
        told[str(status)] = {"description": "\n".join(titles), "content": content}
    return told
