"""The part of JSON Schema 2020-12 that our specification uses, in forty lines. An unknown keyword is an error."""

from datetime import date, datetime
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "boolean": (bool,), "null": (type(None),),
}
_NOTES = {"title", "description", "examples", "default", "discriminator", "format"}
_HANDLED = _NOTES | {"$ref", "anyOf", "oneOf", "enum", "type", "properties", "required", "items", "minItems",
                     "maxItems", "minLength", "maxLength", "minimum", "maximum"}


def faults(value: Any, schema: dict[str, Any], spec: dict[str, Any], at: str = "") -> list[str]:
    """What is wrong with ``value``. Objects may not hold names that the schema does not know."""
    assert set(schema) <= _HANDLED, f"unknown keywords at {at}: {set(schema) - _HANDLED}"
    if "$ref" in schema:
        return faults(value, spec["components"]["schemas"][schema["$ref"].rpartition("/")[2]], spec, at)
    for several in ("anyOf", "oneOf"):
        if several in schema:
            tried = [faults(value, one, spec, at) for one in schema[several]]
            return [] if [] in tried else min(tried, key=len)
    if "enum" in schema and value not in schema["enum"]:
        return [f"{at}: {value!r} is none of {schema['enum']}"]
    kind = schema.get("type")
    if kind and (not isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, bool))):
        return [f"{at}: {value!r} is no {kind}"]
    if schema.get("format") == "date-time" and datetime.fromisoformat(value).tzinfo is None:
        return [f"{at}: {value!r} has no offset"]
    if schema.get("format") == "date":
        date.fromisoformat(value)
    return _limits(value, schema, at) + _inside(value, schema, spec, at)


def _limits(value: Any, schema: dict[str, Any], at: str) -> list[str]:
    found = []
    if isinstance(value, (str, list)):
        least, most = ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
        found = [] if schema.get(least, 0) <= len(value) <= schema.get(most, len(value)) else [f"{at}: length"]
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{at}: {value} is out of range")
    return found


def _inside(value: Any, schema: dict[str, Any], spec: dict[str, Any], at: str) -> list[str]:
    if isinstance(value, list):
        return [f for n, one in enumerate(value) for f in faults(one, schema.get("items", {}), spec, f"{at}/{n}")]
    if not isinstance(value, dict):
        return []
    known = schema.get("properties", {})
    found = [f"{at}/{name}: is missing" for name in schema.get("required", []) if name not in value]
    found += [f"{at}/{name}: is not in the schema" for name in value if name not in known]
    return found + [f for name, one in value.items() if name in known
                    for f in faults(one, known[name], spec, f"{at}/{name}")]
