"""Conditions over named facts: a closed set of typed tests, combined with all, any and not. Pure.

Written as ``"orders.count >= 3"``, ``"consent.marketing"``, ``"not person.follows"``, ``"role.highest in ['gold',
'partner']"`` or ``"product.cycle_days is known"``; a list means that all must hold; ``{any = […]}`` and ``{not = …}``
combine. A fact that nobody knows (None) passes no test, so ``not known`` is asked for by ``not …  is known``.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from domain.shared.records import record

Value = bool | int | str | None
Look = Callable[[str], Value]
"""The value of a fact by its name."""

_ATOM = re.compile(r"^(?P<negated>not\s+)?(?P<name>[a-z_]+\.[a-z0-9_]+)(?:\s+(?P<op>is known|=|!=|<=|>=|<|>|in)"
                   r"(?:\s*(?P<value>.+))?)?$")
_NUMBER = re.compile(r"-?\d+")
_TEXT = re.compile(r"'([^']*)'")
ORDERED = frozenset({"<", "<=", ">", ">="})


@record
class Comparison:
    """One fact compared with a fixed value. ``op``: = != < <= > >= in, or ``known``."""

    name: str
    op: str
    value: Value | tuple[Value, ...] = None


@record
class All:
    parts: "tuple[Condition, ...]"


@record
class AnyOf:
    parts: "tuple[Condition, ...]"


@record
class Not:
    part: "Condition"


Condition = Comparison | All | AnyOf | Not

ALWAYS = All(())


class BadCondition(ValueError):
    """A condition that cannot be read; the message says what was expected."""


DEEPEST = 20
"""Conditions within conditions; a form that nests deeper is a mistake, and would end in the interpreter's limit."""


def read(raw: Any, depth: int = 0) -> Condition:
    """From the authoring form. Raises BadCondition."""
    if depth > DEEPEST:
        raise BadCondition(f"more than {DEEPEST} conditions within one another")
    if isinstance(raw, str):
        return _atom(raw)
    if isinstance(raw, list):
        return All(tuple(read(part, depth + 1) for part in raw))
    if isinstance(raw, Mapping) and len(raw) == 1:
        (word, inside), = raw.items()
        if word == "not":
            return Not(read(inside, depth + 1))
        if word in ("any", "all") and isinstance(inside, list):
            parts = tuple(read(part, depth + 1) for part in inside)
            return AnyOf(parts) if word == "any" else All(parts)
    raise BadCondition(f"{raw!r} is no condition: write \"fact op value\", a list, {{any = […]}} or {{not = …}}")


def _atom(said: str) -> Condition:
    found = _ATOM.match(said.strip())
    if found is None:
        raise BadCondition(f"{said!r}: expected \"name\", \"not name\", \"name is known\" or \"name op value\"")
    op, value = found["op"] or "=", found["value"]
    test: Condition
    if op == "is known":
        test = Comparison(found["name"], "known")
    elif found["op"] is None:
        test = Comparison(found["name"], "=", True)
    elif op == "in":
        test = Comparison(found["name"], op, _choices(said, value or ""))
    else:
        test = Comparison(found["name"], op, _literal(said, value or ""))
    return Not(test) if found["negated"] else test


def _choices(said: str, value: str) -> tuple[Value, ...]:
    if not (value.startswith("[") and value.endswith("]")):
        raise BadCondition(f"{said!r}: in wants a list as ['a', 'b']")
    return tuple(_literal(said, part.strip()) for part in value[1:-1].split(",") if part.strip())


def _literal(said: str, value: str) -> Value:
    if value in ("true", "false"):
        return value == "true"
    if _NUMBER.fullmatch(value):
        return int(value)
    if text := _TEXT.fullmatch(value):
        return text[1]
    raise BadCondition(f"{said!r}: the value must be a whole number, true, false or 'text'")


def write(condition: Condition) -> Any:
    """The authoring form of a condition; ``read`` gives the same condition back."""
    match condition:
        case Comparison(name, "known"):
            return f"{name} is known"
        case Comparison(name, "=", True):
            return name
        case Comparison(name, "in", tuple() as values):
            return f"{name} in [{', '.join(_written(value) for value in values)}]"
        case Comparison(name, op, value):
            return f"{name} {op} {_written(value)}"
        case All(parts):
            return [write(part) for part in parts]
        case AnyOf(parts):
            return {"any": [write(part) for part in parts]}
        case Not(part):
            inside = write(part)
            return f"not {inside}" if isinstance(part, Comparison) else {"not": inside}


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f"'{value}'"


def tests(condition: Condition) -> Iterator[Comparison]:
    """Every test in it, for checking names and types."""
    match condition:
        case Comparison():
            yield condition
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from tests(part)
        case Not(part):
            yield from tests(part)


def holds(condition: Condition, look: Look) -> bool:
    """Whether it is so. Asks only for the facts it needs, from left to right."""
    match condition:
        case Comparison(name, op, value):
            return _passes(look(name), op, value)
        case All(parts):
            return all(holds(part, look) for part in parts)
        case AnyOf(parts):
            return any(holds(part, look) for part in parts)
        case Not(part):
            return not holds(part, look)


def _passes(known: Value, op: str, value: Any) -> bool:
    if known is None or op == "known":
        return known is not None
    match op:
        case "=":
            return bool(known == value)
        case "!=":
            return bool(known != value)
        case "in":
            return known in value
        case "<":
            return bool(known < value)
        case "<=":
            return bool(known <= value)
        case ">":
            return bool(known > value)
    return bool(known >= value)


def explain(condition: Condition, look: Look) -> str:
    """The facts behind the verdict: ``orders.count = 0, wanted >= 1``; only the parts that decided."""
    match condition:
        case Comparison(name, op, value):
            if op == "known":
                wanted = "known"
            else:
                wanted = "true" if value is True else write(condition).removeprefix(f"{name} ")
            known = look(name)
            said = "unknown" if known is None else _written(known)
            return f"{name} = {said}, wanted {wanted}"
        case All(parts):
            failed = [part for part in parts if not holds(part, look)]
            return "; ".join(explain(part, look) for part in (failed[:1] or parts)) or "always"
        case AnyOf(parts):
            passed = [part for part in parts if holds(part, look)]
            return " or ".join(explain(part, look) for part in (passed[:1] or parts))
        case Not(part):
            return f"not ({explain(part, look)})"
