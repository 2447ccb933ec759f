"""From a table of operations to a specification, OpenAPI 3.1: schemas come from the types, everything else from the
table."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

import msgspec

from domain.shared.records import record
from handlers.web.api import shapes
from handlers.web.api.operations import TOO_LARGE, Operation

Schema = dict[str, Any]

_REF = "#/components/schemas/{name}"
_PLACE = re.compile(r"<(?:(\w+):)?(\w+)>")


def _nothing_more(_schemas: Schema) -> None:
    """No change."""


@record
class Api:
    """One API. ``schemes``: OpenAPI security schemes, ``security`` which of them an operation wants. ``every``:
    refusals of every operation. ``places``: what the variables of paths mean. ``finish`` may add to the schemas.
    ``taken`` says what a success means."""

    title: str
    version: str
    description: str
    prefix: str
    operations: Sequence[Operation]
    schemes: Mapping[str, Schema]
    security: Callable[[Operation], list[dict[str, list[str]]]]
    every: tuple[tuple[int, str], ...]
    places: Mapping[str, str] = field(default_factory=dict)
    finish: Callable[[Schema], None] = _nothing_more
    taken: Callable[[Operation], str] = lambda _operation: "Done."


def document(api: Api) -> Schema:
    """The whole specification."""
    paths: Schema = {}
    for operation in api.operations:
        path = api.prefix + _PLACE.sub(r"{\2}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(api, operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": api.title, "version": api.version, "description": api.description},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in api.operations)],
        "paths": paths,
        "components": {"schemas": _schemas(api), "securitySchemes": dict(api.schemes)},
    }


def _schemas(api: Api) -> Schema:
    answers = [operation.answer for operation in api.operations if operation.media == "application/json"]
    bodies = [body for operation in api.operations for body in operation.body]
    kinds = [*dict.fromkeys(answers), *dict.fromkeys(bodies), shapes.Problem]
    _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    api.finish(components)
    return dict(sorted(components.items()))


def _schema(kind: Any) -> Schema:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def _operation(api: Api, operation: Operation) -> Schema:
    done: Schema = {
        "operationId": operation.name, "tags": [operation.tag], "summary": operation.summary,
        "description": operation.description, "security": api.security(operation),
        "parameters": [*_in_path(api, operation), *_in_query(operation)],
        "responses": _responses(api, operation),
    }
    if operation.body:
        kinds = [_schema(body) for body in operation.body]
        schema = kinds[0] if len(kinds) == 1 else {"oneOf": kinds}
        done["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return done


def _in_path(api: Api, operation: Operation) -> list[Schema]:
    meanings = {**api.places, **dict(operation.places)}
    return [
        {"name": name, "in": "path", "required": True, "description": meanings[name],
         "schema": {"type": "integer", "minimum": 0} if converter == "int" else {"type": "string"}}
        for converter, name in _PLACE.findall(operation.path)
    ]


def _in_query(operation: Operation) -> list[Schema]:
    return [
        {"name": one.name, "in": "query", "required": False, "description": one.description, "schema": one.schema}
        for one in operation.query
    ]


def _responses(api: Api, operation: Operation) -> Schema:
    problem = {"application/json": {"schema": _schema(shapes.Problem)}}
    schema = _schema(operation.answer) if operation.media == "application/json" else {"type": "string"}
    responses: Schema = {
        str(operation.status): {"description": api.taken(operation), "content": {operation.media: {"schema": schema}}},
    }
    always = (TOO_LARGE, *api.every) if operation.method == "POST" else api.every
    for status, meaning in sorted({**dict(always), **dict(operation.refusals)}.items()):
        responses[str(status)] = {"description": meaning, "content": problem}
    responses["503"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return responses
