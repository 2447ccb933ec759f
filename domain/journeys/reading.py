"""Reads the authoring form (TOML or JSON) into a Journey and names every fault of it at once. Pure.

The form itself is described in docs/JOURNEYS.md. What a form can get wrong in itself is found here; what it says about
facts, events, texts and ways is checked by ``domain.journeys.checking``.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from domain.journeys.conditions import ALWAYS, BadCondition, Condition, Value
from domain.journeys.conditions import read as read_condition
from domain.journeys.document import (
    DAY,
    END,
    Branch,
    Emit,
    Exit,
    Goal,
    Grant,
    Journey,
    OnDay,
    Pause,
    Repeat,
    Say,
    Span,
    Split,
    Step,
    Tag,
    UntilAnchor,
    Wait,
    WaitFor,
)
from domain.shared.errors import DomainError

T = TypeVar("T")

_UNITS = {"w": 7 * DAY, "d": DAY, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(-?)((?:\d+[wdhms])+)")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_PERCENT = re.compile(r"(\d{1,2})(?:\.(\d{1,2}))?%")
_HEAD = frozenset({"key", "title", "about", "purpose", "on", "when", "run_key", "reentry", "cooldown", "max_age",
                   "holdout", "priority", "goal", "exits", "step"})
YEAR = 366 * DAY


class JourneyFaults(DomainError):
    """A journey that cannot be used; ``faults`` are sentences, each with its place."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("journey_invalid", faults=faults)
        self.faults = faults


@dataclass
class Form:
    """One table of the form: gives fields with their types and notes what is wrong or left over."""

    raw: Mapping[str, Any]
    where: str
    faults: list[str]
    seen: set[str] = field(default_factory=set)

    def fault(self, what: str) -> None:
        self.faults.append(f"{self.where}: {what}")

    def take(self, name: str, kind: type[T], default: T | None = None) -> T:
        """A field of a plain type; without a default it must be there."""
        self.seen.add(name)
        value = self.raw.get(name, default)
        if value is None:
            self.fault(f"{name} is missing")
        elif not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.fault(f"{name} must be {'a whole number' if kind is int else f'of type {kind.__name__}'}")
        else:
            return value
        return kind()

    def seconds(self, name: str, default: str | None = None, *, least: int = 0) -> int:
        """A duration as ``2d``, ``36h`` or ``1d12h``; ``least`` bounds it from below."""
        value = self.take(name, str, default)
        if not value:
            return least
        try:
            seconds = duration(value)
        except ValueError:
            self.fault(f"{name} {value!r} is no duration: write 2d, 36h, 1d12h, 90m")
            return least
        if not least <= seconds <= YEAR:
            self.fault(f"{name} must be between {written_duration(least)} and {written_duration(YEAR)}")
        return seconds

    def condition(self, name: str) -> Condition:
        self.seen.add(name)
        try:
            return read_condition(self.raw[name]) if name in self.raw else ALWAYS
        except BadCondition as bad:
            self.fault(f"{name}: {bad}")
            return ALWAYS

    def names(self, name: str) -> tuple[str, ...]:
        value = self.take(name, list, [])
        if not all(isinstance(one, str) for one in value):
            self.fault(f"{name} must be a list of names")
            return ()
        return tuple(value)

    def facts(self, name: str) -> dict[str, Value]:
        value = self.take(name, dict, {})
        for key, one in value.items():
            if not isinstance(one, bool | int | str):
                self.fault(f"{name}.{key} must be a text, a whole number or true/false")
        return dict(value)

    def minute(self, name: str) -> int | None:
        """A clock time as ``10:00``, in minutes of the day; None when it is not there."""
        if name not in self.raw:
            return None
        found = _CLOCK.fullmatch(self.take(name, str))
        if not found:
            self.fault(f"{name} must be a time of day such as 10:00")
            return 0
        return int(found[1]) * 60 + int(found[2])

    def done(self) -> None:
        """Whatever was not asked for should not be there."""
        for name in sorted(set(self.raw) - self.seen):
            self.fault(f"unknown field {name}")


def duration(said: str) -> int:
    """Seconds of ``1d12h``. Raises ValueError."""
    found = _DURATION.fullmatch(said)
    if not found:
        raise ValueError(said)
    total = sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([wdhms])", found[2]))
    return -total if found[1] else total


def written_duration(seconds: int) -> str:
    """``129600`` → ``1d12h``."""
    rest, parts = abs(seconds), []
    for unit in "dhms":
        number, rest = divmod(rest, _UNITS[unit])
        parts += [f"{number}{unit}"] if number else []
    return ("-" if seconds < 0 else "") + "".join(parts or ["0s"])


def load(path: Path) -> Journey:
    """The journey of a TOML file. Raises JourneyFaults."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as bad:
        raise JourneyFaults([f"{path.name}: {bad}"]) from bad
    try:
        return read(raw)
    except JourneyFaults as bad:
        raise JourneyFaults([f"{path.name}: {fault}" for fault in bad.faults]) from bad


def read(raw: Mapping[str, Any]) -> Journey:
    """A journey from its form. Raises JourneyFaults with everything that is wrong."""
    faults: list[str] = []
    head = Form(raw, "journey", faults)
    steps = _steps(head.take("step", list), faults)
    goal = Form(raw["goal"], "goal", faults) if isinstance(raw.get("goal"), Mapping) else None
    exits = [Form(one, f"exits[{n}]", faults) for n, one in enumerate(head.take("exits", list, []), 1)
             if isinstance(one, Mapping)]
    journey = Journey(
        key=_key(head, "key"), title=head.take("title", str), about=head.take("about", str, ""),
        purpose=_one_of(head, "purpose", ("money", "service", "marketing"), "marketing"),  # type: ignore[arg-type]
        on=head.take("on", str), steps=steps, when=head.condition("when"), run_key=head.take("run_key", str, ""),
        reentry=_one_of(head, "reentry", ("never", "after_exit", "restart", "parallel"), "never"),  # type: ignore[arg-type]
        cooldown=head.seconds("cooldown", "0s"), max_age=head.seconds("max_age", "3d", least=60),
        holdout_bps=_percent(head), priority=head.take("priority", int, 0),
        goal=_goal(goal) if goal else None, exits=tuple(_exit(one) for one in exits),
    )
    head.seen |= _HEAD
    head.done()
    if not 0 <= journey.priority <= 9:
        head.fault("priority must be between 0 and 9")
    if journey.cooldown and journey.reentry != "after_exit":
        head.fault("cooldown goes with reentry = \"after_exit\"")
    if faults:
        raise JourneyFaults(faults)
    return journey


def _key(form: Form, name: str) -> str:
    value = form.take(name, str)
    if value and not _KEY.fullmatch(value):
        form.fault(f"{name} {value!r} must be lower-case letters, digits and _, at most 40")
    return value


def _one_of(form: Form, name: str, known: tuple[str, ...], default: str) -> str:
    value = form.take(name, str, default)
    if value not in known:
        form.fault(f"{name} {value!r} is none of {', '.join(known)}")
    return value


def _percent(form: Form) -> int:
    said = form.take("holdout", str, "5%")
    found = _PERCENT.fullmatch(said)
    if not found or int(found[1]) > 50:
        form.fault(f"holdout {said!r} must be a share from 0% to 50%")
        return 0
    return int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))


def _goal(form: Form) -> Goal:
    goal = Goal(form.take("on", str), form.names("match"), form.condition("when"),
                form.seconds("within", "14d", least=60))
    form.done()
    return goal


def _exit(form: Form) -> Exit:
    on = form.take("on", str, "")
    made = Exit(on, form.names("match"), form.condition("when"), form.take("reason", str, on or "no_longer"),
                form.seconds("for", "0s"))
    if on and made.lasting:
        form.fault("for waits whether a condition lasts: it does not go with on")
    if not on and made.when == ALWAYS:
        form.fault("needs on, or when, or both")
    if not on and made.match:
        form.fault("match compares with an event: it goes with on")
    form.done()
    return made


def _steps(raw: list[Any], faults: list[str]) -> tuple[Step, ...]:
    if not raw:
        faults.append("journey: there is no step")
    steps: list[Step] = []
    for n, one in enumerate(raw, 1):
        if not isinstance(one, Mapping):
            faults.append(f"step {n}: must be a table")
            continue
        form = Form(one, f"step {one.get('id', n)}", faults)
        following = raw[n].get("id", "") if n < len(raw) and isinstance(raw[n], Mapping) else END
        kinds = [kind for kind in _READERS if kind in one]
        if len(kinds) != 1:
            form.fault(f"needs exactly one of {', '.join(_READERS)}")
            continue
        name = _key(form, "id")
        if name == END:
            form.fault(f"no step may be called {END}")
        steps.append(_READERS[kinds[0]](form, name, str(following)))
        form.done()
    for name in sorted({step.id for step in steps if sum(other.id == step.id for other in steps) > 1}):
        faults.append(f"step {name}: stands twice")
    return tuple(steps)


def _wait(form: Form, name: str, following: str) -> Step:
    raw = form.raw["wait"]
    form.seen.add("wait")
    span = Pause(form.seconds("wait", least=60)) if isinstance(raw, str) else _span(form, raw)
    return Wait(name, span, form.take("next", str, following), form.take("otherwise", str, END))


def _span(form: Form, raw: Any) -> Span:
    inner = Form(raw if isinstance(raw, Mapping) else {}, f"{form.where} wait", form.faults)
    span: Span
    if "until" in inner.raw:
        _one_of(inner, "until", ("anchor",), "anchor")
        offset = inner.take("offset", str, "0s")
        try:
            span = UntilAnchor(inner.take("plus", str, ""), duration(offset), inner.minute("at"))
        except ValueError:
            inner.fault(f"offset {offset!r} is no duration: write 2d, -2d, 36h")
            span = UntilAnchor()
    else:
        span = OnDay(inner.take("days", int), inner.minute("at") or 0)
        if "at" not in inner.raw:
            inner.fault("days wants at, a time of day such as 10:00")
        if not 0 <= span.days <= 366:
            inner.fault("days must be between 0 and 366")
    inner.done()
    return span


def _wait_for(form: Form, name: str, following: str) -> Step:
    return WaitFor(name, form.take("wait_for", str), form.names("match"), form.condition("when"),
                   form.seconds("timeout", least=60), form.take("next", str, following),
                   form.take("otherwise", str, END))


def _branch(form: Form, name: str, following: str) -> Step:
    return Branch(name, form.condition("if"), form.take("then", str), form.take("else", str, following))


def _split(form: Form, name: str, following: str) -> Step:
    arms, weights = form.take("arms", dict), form.take("weights", dict, {})
    if len(arms) < 2 or not all(isinstance(to, str) for to in arms.values()):
        form.fault("arms needs two ways at least, each with the step it leads to")
    weights = weights or dict.fromkeys(arms, 1)
    if set(weights) != set(arms) or not all(type(part) is int and part > 0 for part in weights.values()):
        form.fault("weights must give every arm a whole number above 0")
    return Split(name, form.take("split", str), arms, weights)


def _say(form: Form, name: str, following: str) -> Step:
    purpose = _one_of(form, "purpose", ("", "money", "service", "marketing"), "")
    return Say(name, form.take("say", str), purpose, form.seconds("expires", "1d", least=60),  # type: ignore[arg-type]
               form.facts("with"), form.take("picture", str, ""), form.take("next", str, following))


def _grant(form: Form, name: str, following: str) -> Step:
    amount, cost = form.take("amount", int, 1), form.take("cost_fen", int, 0)
    if amount < 1 or cost < 0:
        form.fault("amount must be 1 or more, cost_fen 0 or more")
    what = form.take("grant", str)
    if not re.fullmatch(r"[a-z_]+(:[a-z0-9_]+)?", what):
        form.fault(f"grant {what!r} must look like coupon:restock or points")
    return Grant(name, what, amount, form.take("once", str, ""), cost, form.take("next", str, following))


def _tag(form: Form, name: str, following: str) -> Step:
    word = "tag" if "tag" in form.raw else "untag"
    return Tag(name, form.take(word, str), word == "untag", form.take("next", str, following))


def _emit(form: Form, name: str, following: str) -> Step:
    return Emit(name, form.take("emit", str), form.facts("with"), form.take("next", str, following))


def _repeat(form: Form, name: str, following: str) -> Step:
    most = form.take("max", int)
    if not 1 <= most <= 100:
        form.fault("max must be between 1 and 100")
    return Repeat(name, form.take("repeat", str), most, form.condition("while"), form.take("next", str, following))


_READERS: dict[str, Callable[[Form, str, str], Step]] = {
    "wait": _wait, "wait_for": _wait_for, "if": _branch, "split": _split, "say": _say, "grant": _grant, "tag": _tag,
    "untag": _tag, "emit": _emit, "repeat": _repeat,
}
