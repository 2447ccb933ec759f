"""The docs page at /api/docs: made from the specification, one template, one style sheet, one script, all our own."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, render_template, request

from handlers.web.api import event_shapes, openapi
from handlers.web.api.event_door import MAX_EVENTS
from handlers.web.api.signature import TOLERANCE_SECONDS

ASSETS = Path(__file__).parents[3] / "assets"
STATIC = ASSETS / "static" / "api"

POLICY = (
    "default-src 'none'; style-src 'self'; font-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_KINDS = {"docs.css": "text/css; charset=utf-8", "docs.js": "text/javascript; charset=utf-8"}


def add_to(doors: Blueprint) -> None:
    """Register the page and its two files."""
    doors.add_url_rule("/api/docs", "docs", _page, methods=["GET"])
    doors.add_url_rule("/api/docs/<name>", "docs_file", _file, methods=["GET"])


def _page() -> Response:
    text = render_template(
        "api/docs.html", spec=openapi.specification(), operations=_operations(), events=_events(),
        version=_version(), tolerance=TOLERANCE_SECONDS, most=MAX_EVENTS, base=request.host_url.rstrip("/"),
    )
    response = Response(text, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    return response


def _file(name: str) -> Response:
    if name not in _KINDS:
        abort(404)
    response = Response((STATIC / name).read_bytes(), content_type=_KINDS[name])
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


@cache
def _version() -> str:
    """Changes with the files, so that they may be kept for ever."""
    return hashlib.sha256(b"".join((STATIC / name).read_bytes() for name in sorted(_KINDS))).hexdigest()[:12]


@cache
def _operations() -> list[dict[str, Any]]:
    """The operations by tag, with the fields of their bodies and answers laid flat."""
    spec = openapi.specification()
    found = []
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            done = next(response for status, response in operation["responses"].items() if status.startswith("2"))
            schema = done["content"]["application/json"]["schema"]
            found.append({**operation, "method": method.upper(), "path": path, "fields": _fields(schema, spec),
                          "refusals": {s: r for s, r in operation["responses"].items() if not s.startswith("2")}})
    return found


@cache
def _events() -> list[dict[str, Any]]:
    spec = openapi.specification()
    found = []
    for kind in event_shapes.EXAMPLES:
        name = "".join(part.title() for part in kind.split("."))
        data = spec["components"]["schemas"][name]["properties"]["data"]
        body = json.dumps(event_shapes.example(kind), ensure_ascii=False, indent=2)
        described = _resolved(data, spec).get("description", "")
        found.append({"type": kind, "description": described, "fields": _fields(data, spec), "example": body})
    return found


def _resolved(schema: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = spec["components"]["schemas"][name] if name else schema
    return found


def _fields(schema: dict[str, Any], spec: dict[str, Any], prefix: str = "") -> list[dict[str, Any]]:
    """``[{name, type, required, description}]`` of an object, nested ones with their path (lines[].sku)."""
    owner = _resolved(schema, spec)
    rows: list[dict[str, Any]] = []
    for name, field in owner.get("properties", {}).items():
        options = [one for one in field.get("anyOf", [field]) if one.get("type") != "null"]
        inner = _resolved(options[0], spec)
        needed = name in owner.get("required", [])
        rows.append({"name": prefix + name, "type": _kind(inner, spec), "required": needed,
                     "nullable": len(options) < len(field.get("anyOf", [field])),
                     "description": field.get("description") or options[0].get("description") or
                     inner.get("description", "")})
        item = _resolved(inner.get("items", {}), spec) if inner.get("type") == "array" else inner
        nested = f"{prefix}{name}[]." if inner.get("type") == "array" else f"{prefix}{name}."
        if item.get("type") == "object":
            rows += _fields(item, spec, nested)
    return rows


def _kind(schema: dict[str, Any], spec: dict[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(_resolved(schema['items'], spec), spec)}"
    if schema.get("format"):
        return str(schema["format"])
    return str(schema.get("type", "object"))
