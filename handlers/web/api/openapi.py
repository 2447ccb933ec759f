"""The specification, OpenAPI 3.1, generated from the table of operations and the types of the shapes."""

import re
from functools import cache
from typing import Any

import msgspec

from handlers.web.api import event_shapes, shapes
from handlers.web.api.event_door import MAX_EVENTS
from handlers.web.api.signature import TOLERANCE_SECONDS
from handlers.web.api.table import EVERY_OPERATION, OPERATIONS, PREFIX, Operation

VERSION = "1.0.0"

_REF = "#/components/schemas/{name}"
_PLACE = re.compile(r"<(?:(\w+):)?(\w+)>")

_SIGNED: list[dict[str, list[str]]] = [{"webhookId": [], "webhookTimestamp": [], "webhookSignature": []}]
_KEYED: list[dict[str, list[str]]] = [{"apiKey": []}]

_PATH_PARAMETERS = {
    "source": "The name of your system, as in the shop's accounts file.",
    "person_id": "A person's id.",
    "code": "The coupon's code.",
    "channel": "Where the order was sold.",
    "order_id": "The order's number there.",
}


@cache
def specification() -> dict[str, Any]:
    """The whole document. Callers must not change it."""
    schemas = _schemas()
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        path = PREFIX + _PLACE.sub(r"{\2}", operation.path)
        paths.setdefault(path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Huitou API", "version": VERSION, "description": (
            "Report what happens in the shop, read what became of it. Money is integer fen, rates are basis points, "
            "times are ISO 8601 with an offset. Answers may gain fields; ignore what you do not know.")},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in OPERATIONS)],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _SECURITY},
    }


_SECURITY = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "The api_key of the accounts file."},
    "webhookId": {"type": "apiKey", "in": "header", "name": "webhook-id",
                  "description": "Unique for this message; visible ASCII without a full stop."},
    "webhookTimestamp": {"type": "apiKey", "in": "header", "name": "webhook-timestamp",
                         "description": f"Unix seconds, within {TOLERANCE_SECONDS} s of now."},
    "webhookSignature": {"type": "apiKey", "in": "header", "name": "webhook-signature", "description": (
        "v1,<base64 HMAC-SHA256 of id.timestamp.body under the decoded whsec_ secret>; several entries are "
        "separated by spaces, one must hold. Standard Webhooks, www.standardwebhooks.com.")},
}


def _types() -> list[Any]:
    bodies = [body for operation in OPERATIONS for body in operation.body]
    return [*dict.fromkeys(operation.answer for operation in OPERATIONS), *bodies, shapes.Problem]


def _schemas() -> dict[str, Any]:
    _, components = msgspec.json.schema_components(_types(), ref_template=_REF)
    for kind, data in event_shapes.EXAMPLES.items():
        name = "".join(part.title() for part in kind.split("."))
        components[name]["examples"] = [event_shapes.example(kind)]
        components[name]["properties"]["data"].setdefault("examples", [data])
    return dict(sorted(components.items()))


def _schema(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def _operation(operation: Operation) -> dict[str, Any]:
    done: dict[str, Any] = {
        "operationId": operation.name, "tags": [operation.tag], "summary": operation.summary,
        "description": operation.description,
        "security": _KEYED if operation.call else _SIGNED,
        "parameters": [*_in_path(operation), *_in_query(operation)],
        "responses": _responses(operation),
    }
    if operation.body:
        kinds = [_schema(body) for body in operation.body]
        schema = kinds[0] if len(kinds) == 1 else {"oneOf": kinds}
        done["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return done


def _in_path(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "description": _PATH_PARAMETERS[name],
         "schema": {"type": "integer", "minimum": 0} if converter == "int" else {"type": "string"}}
        for converter, name in _PLACE.findall(operation.path)
    ]


def _in_query(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "in": "query", "required": False, "description": one.description,
         "schema": {"type": "string"}}
        for one in operation.query
    ]


def _responses(operation: Operation) -> dict[str, Any]:
    problem = {"application/json": {"schema": _schema(shapes.Problem)}}
    taken = f"Stored, up to {MAX_EVENTS} events." if operation.call is None else "Done."
    responses: dict[str, Any] = {
        str(operation.status): {"description": taken, "content": {"application/json": {
            "schema": _schema(operation.answer)}}},
    }
    for status, meaning in sorted((*operation.refusals, *EVERY_OPERATION)):
        responses[str(status)] = {"description": meaning, "content": problem}
    responses["503"]["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
    return responses
