"""What programs can do, as a page: made from the document that describes the API, and from nothing else."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from admin.api.openapi import document
from admin.api.problems import KINDS
from admin.api_tokens import SCOPES
from admin.web.page import page
from admin.web.session_cookie import API

_WORDS = {
    "string": "text",
    "boolean": "true or false",
    "integer": "number",
    "date-time": "time, RFC 3339",
    "date": "day",
    "time": "time of day",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter or a part of a body: its type in words, or the shape that it has, by name."""

    name: str
    type: str
    shape: str | None
    is_needed: bool
    said: str


@dataclass(frozen=True, slots=True)
class Described:
    """An operation as the document describes it. `answers` is the name of a shape; `example` is of a body."""

    method: str
    path: str
    name: str
    summary: str
    said: str
    fields: list[Field]
    example: str
    answers: str
    refused: list[str]


async def api_page(http_request: Request) -> Response:
    """Show every operation by subject, the shapes of what is sent and answered, and what is refused."""
    told = json.loads(document())
    schemas = told["components"]["schemas"]
    operations = list(_operations(told))
    return await page(
        http_request,
        "api.html",
        about=told["info"]["description"].split("\n\n"),
        subjects=[
            (tag["name"], tag["description"], [one for name, one in operations if name == tag["name"]])
            for tag in told["tags"]
        ],
        shapes={name: (schema.get("description", ""), _fields(schema)) for name, schema in schemas.items()},
        values={name: schema["enum"] for name, schema in schemas.items() if "enum" in schema},
        kinds=KINDS.values(),
        scopes=SCOPES,
        api=API,
    )


def _operations(told: Mapping[str, Any]) -> Iterator[tuple[str, Described]]:
    """Return each operation with the subject that it belongs to."""
    for path, methods in told["paths"].items():
        for method, one in methods.items():
            body = _body(one, told["components"]["schemas"])
            done = next(status for status in one["responses"] if status.startswith("2"))
            yield (
                one["tags"][0],
                Described(
                    method.upper(),
                    path,
                    one["operationId"],
                    one["summary"],
                    one["description"],
                    [*_parameters(one), *_fields(body)],
                    json.dumps(*body["examples"], ensure_ascii=False) if body else "",
                    _shape(one["responses"][done]["content"]["application/json"]["schema"]) or "",
                    [status for status in one["responses"] if status != done],
                ),
            )


def _parameters(one: Mapping[str, Any]) -> Iterator[Field]:
    for given in one["parameters"]:
        said = given.get("description", "")
        yield Field(given["name"], _type(given["schema"]), _shape(given["schema"]), given["required"], said)


def _body(one: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of what is sent, an empty one where nothing is."""
    if "requestBody" not in one:
        return {}
    name = _shape(one["requestBody"]["content"]["application/json"]["schema"])
    schema: Mapping[str, Any] = schemas[name or ""]
    return schema


def _fields(schema: Mapping[str, Any]) -> list[Field]:
    needed = schema.get("required", ())
    return [
        Field(name, _type(of), _shape(of), name in needed, of.get("description", ""))
        for name, of in schema.get("properties", {}).items()
    ]


def _type(schema: Mapping[str, Any]) -> str:
    """Return what kind of value this is, in words."""
    if choices := schema.get("anyOf"):
        return " or ".join(_type(choice) for choice in choices)
    if "enum" in schema:
        return " or ".join(f'"{value}"' for value in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if shape := _shape(schema):
        return shape
    kind: str = schema.get("format") or schema.get("type", "")
    return _WORDS.get(kind, kind)


def _shape(schema: Mapping[str, Any]) -> str | None:
    """Return the name of the shape that a schema is, is a list of, or is where it is not null."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return _shape(schema["items"])
    return next(filter(None, map(_shape, schema.get("anyOf", ()))), None)
