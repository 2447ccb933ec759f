"""What is said about a plan: findings, and the check that a document has the shape of a plan at all."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from domain.shared.records import record

Severity = Literal["error", "warning"]

_WANTED = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?")


@record
class Finding:
    """One thing about a plan. ``code`` names a sentence (``plan.finding.<code>``) that ``facts`` fill; ``where`` is the
    place in the document, as in ``rules[2].rate_bps``. An error keeps the plan from being published."""

    severity: Severity
    code: str
    where: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.where or 'plan'}: {self.code}{f' ({told})' if told else ''}"


def error(code: str, where: str = "", **facts: Any) -> Finding:
    """A finding that keeps the plan from being published."""
    return Finding("error", code, where, facts)


def warning(code: str, where: str = "", **facts: Any) -> Finding:
    """A finding that somebody should know before publishing."""
    return Finding("warning", code, where, facts)


def shape_faults(value: Any, wanted: Any, where: str = "") -> Iterator[Finding]:
    """Everything about ``value`` that keeps msgspec from reading it as ``wanted``, all at once, and unknown names."""
    if is_dataclass(wanted):
        yield from _table(value, wanted, where)
    elif get_origin(wanted) is tuple:
        yield from _array(value, get_args(wanted)[0], where)
    elif get_origin(wanted) is UnionType and NoneType in get_args(wanted):
        if value is not None:
            yield from shape_faults(value, next(one for one in get_args(wanted) if one is not NoneType), where)
    else:
        try:
            msgspec.convert(value, wanted, strict=True)
        except msgspec.ValidationError as fault:
            yield _told(str(fault), where)


def _table(value: Any, wanted: Any, where: str) -> Iterator[Finding]:
    if not isinstance(value, Mapping):
        yield error("type", where, expected="object", got=type(value).__name__)
        return
    hints = get_type_hints(wanted)
    known = {one.name: one for one in fields(wanted) if (where, one.name) != ("", "version")}
    for name in sorted({str(name) for name in value} - set(known)):
        yield error("unknown_field", _join(where, name))
    for name, one in known.items():
        if name in value:
            yield from shape_faults(value[name], hints[name], _join(where, name))
        elif one.default is MISSING and one.default_factory is MISSING:
            yield error("missing_field", _join(where, name))


def _array(value: Any, wanted: Any, where: str) -> Iterator[Finding]:
    if not isinstance(value, list | tuple):
        yield error("type", where, expected="array", got=type(value).__name__)
        return
    for n, one in enumerate(value):
        yield from shape_faults(one, wanted, f"{where}[{n}]")


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _told(message: str, where: str) -> Finding:
    match = _WANTED.search(message)
    if match is None:
        return error("type", where, expected="date", got="") if "date" in message else error("choice", where)
    return error("type", where, expected=match[1], got=match[2] or "")
