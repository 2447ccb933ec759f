"""Is a journey fit to be used? Checks what it says about ways, events, facts and texts; every fault at once. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import field

from domain.journeys.conditions import ORDERED, Comparison, Condition, Value, tests
from domain.journeys.document import (
    END,
    Emit,
    Grant,
    Journey,
    Repeat,
    Say,
    Step,
    UntilAnchor,
    Wait,
    WaitFor,
    leads_to,
    names_in,
    references,
)
from domain.journeys.events import EVENTS, EventKind
from domain.journeys.facts import FACTS
from domain.shared.records import record

NOTHING = EventKind("", "", {})
"""Stands for an event that nobody knows, so that the rest can be checked."""


@record
class Vocabulary:
    """What the house can do. None: do not check that part.

    ``texts``: copy key → its placeholders; ``maybe``: those of them that a step need not fill. ``pictures`` and
    ``grants``: what effects know how to make and to give.
    """

    texts: Mapping[str, frozenset[str]] | None = None
    pictures: frozenset[str] | None = None
    grants: frozenset[str] | None = None
    maybe: Mapping[str, frozenset[str]] = field(default_factory=dict)


def faults_of(journey: Journey, vocabulary: Vocabulary) -> list[str]:
    """What is wrong with it, as sentences; [] when it may be published."""
    return list(_faults(journey, vocabulary))


def _faults(journey: Journey, vocabulary: Vocabulary) -> Iterator[str]:
    for where, name in _events(journey):
        if name not in EVENTS:
            yield f"{where}: there is no event {name!r}"
    yield from _ways(journey)
    trigger = EVENTS.get(journey.on, NOTHING)
    yield from _conditions(journey, trigger)
    yield from _matches(journey, trigger)
    for name in names_in(journey.run_key):
        if name not in trigger.fields:
            yield f"run_key: {journey.on} has no field {name!r}"
    for step in journey.steps:
        yield from (f"step {step.id}: {fault}" for fault in _step(journey, step, trigger, vocabulary))


def _events(journey: Journey) -> Iterator[tuple[str, str]]:
    yield "on", journey.on
    if journey.goal:
        yield "goal", journey.goal.on
    yield from ((f"exits[{n}]", one.on) for n, one in enumerate(journey.exits, 1) if one.on)
    for step in journey.steps:
        if isinstance(step, WaitFor):
            yield f"step {step.id}", step.on
        if isinstance(step, Emit):
            yield f"step {step.id}", step.event


def _ways(journey: Journey) -> Iterator[str]:
    """Unknown targets, steps that nobody reaches, and circles that no Repeat bounds."""
    steps = journey.by_id()
    for step in journey.steps:
        for to in leads_to(step):
            if to != END and to not in steps:
                yield f"step {step.id}: leads to {to!r}, which does not exist"
    reached, open_ends = set[str](), [journey.first]
    while open_ends:
        name = open_ends.pop()
        if name in steps and name not in reached:
            reached.add(name)
            open_ends += leads_to(steps[name])
    for name in steps:
        if name not in reached:
            yield f"step {name}: nothing leads there"
    for name in sorted(_circles(steps)):
        yield f"step {name}: comes round to itself; only a repeat with a max may lead back"


def _circles(steps: Mapping[str, Step]) -> set[str]:
    """Steps that can be reached from themselves without a Repeat's way back."""
    ahead = {name: {to for to in leads_to(step) if not (isinstance(step, Repeat) and to == step.to)} & steps.keys()
             for name, step in steps.items()}
    found = set()
    for start in steps:
        seen, ends = set[str](), list(ahead[start])
        while ends:
            name = ends.pop()
            if name not in seen:
                seen.add(name)
                ends += ahead[name]
        if start in seen:
            found.add(start)
    return found


def _conditions(journey: Journey, trigger: EventKind) -> Iterator[str]:
    heard = {f"exits[{n}]": EVENTS.get(one.on, NOTHING) for n, one in enumerate(journey.exits, 1)}
    heard |= {f"step {step.id}": EVENTS.get(step.on, NOTHING) for step in journey.steps if isinstance(step, WaitFor)}
    if journey.goal:
        heard["goal"] = EVENTS.get(journey.goal.on, NOTHING)
    for where, condition in journey.conditions():
        yield from (f"{where}: {fault}" for fault in _condition(condition, trigger, heard.get(where, NOTHING)))


def _condition(condition: Condition, trigger: EventKind, heard: EventKind) -> Iterator[str]:
    for test in tests(condition):
        kind = type_of(test.name, trigger, heard)
        if kind is None:
            yield unknown(test.name, trigger)
        elif test.op in ORDERED and kind != "int":
            yield f"{test.name} is a {kind}: {test.op} compares only numbers"
        elif test.op != "known" and not all(_is(value, kind) for value in _values(test)):
            yield f"{test.name} is of type {kind}, compared with {test.value!r}"


def _values(test: Comparison) -> tuple[Value, ...]:
    return test.value if isinstance(test.value, tuple) else (test.value,)


def _is(value: Value, kind: str) -> bool:
    return {"bool": isinstance(value, bool), "int": isinstance(value, int) and not isinstance(value, bool),
            "text": isinstance(value, str)}[kind]


def type_of(name: str, trigger: EventKind, heard: EventKind = NOTHING) -> str | None:
    """The type of a fact, of ``event.field`` or of ``this.field``; None when there is no such thing here."""
    room, _, field = name.partition(".")
    if room in ("event", "this"):
        return (trigger if room == "event" else heard).fields.get(field)
    fact = FACTS.get(name)
    if fact is None or (fact.subject and fact.subject not in trigger.fields):
        return None
    return fact.type


def unknown(name: str, trigger: EventKind) -> str:
    """Why there is no such fact here."""
    room, _, field = name.partition(".")
    if room in ("event", "this"):
        return f"there is no {name}: that event has no field {field!r}"
    if name in FACTS:
        return f"{name} is about a {FACTS[name].subject}, and {trigger.name or 'this event'} has none"
    return f"there is no fact {name!r}"


def _matches(journey: Journey, trigger: EventKind) -> Iterator[str]:
    ends = [(f"exits[{n}]", one.on, one.match) for n, one in enumerate(journey.exits, 1)]
    ends += [("goal", journey.goal.on, journey.goal.match)] if journey.goal else []
    ends += [(f"step {step.id}", step.on, step.match) for step in journey.steps if isinstance(step, WaitFor)]
    for where, on, names in ends:
        for name in names:
            if name not in trigger.fields or name not in EVENTS.get(on, NOTHING).fields:
                yield f"{where}: match {name!r} must be a field of {journey.on} and of {on}"


def _step(journey: Journey, step: Step, trigger: EventKind, vocabulary: Vocabulary) -> Iterator[str]:
    match step:
        case Wait(span=UntilAnchor(plus=name)) if name and type_of(name, trigger) != "int":
            yield f"plus wants a fact in days: {unknown(name, trigger) if type_of(name, trigger) is None else name}"
        case Say():
            yield from _references(step.facts, trigger)
            yield from _text(step, vocabulary)
        case Grant():
            for name in names_in(step.once):
                if name not in trigger.fields:
                    yield f"once: {journey.on} has no field {name!r}"
            if vocabulary.grants is not None and step.what.partition(":")[0] not in vocabulary.grants:
                yield f"nothing gives {step.what!r}; known: {', '.join(sorted(vocabulary.grants)) or 'nothing'}"
        case Emit():
            yield from _references(step.facts, trigger)
            wanted = set(EVENTS.get(step.event, NOTHING).fields)
            if step.event in EVENTS and wanted != set(step.facts):
                yield f"{step.event} needs exactly: {', '.join(sorted(wanted)) or 'no field'}"
        case Repeat(to=to):
            if to not in journey.by_id() or step.id not in _after(journey, to):
                yield f"repeat {to!r} must name an earlier step that leads here"


def _after(journey: Journey, start: str) -> set[str]:
    steps, seen, ends = journey.by_id(), set[str](), [start]
    while ends:
        name = ends.pop()
        if name in steps and name not in seen:
            seen.add(name)
            ends += leads_to(steps[name])
    return seen


def _references(facts: Mapping[str, Value], trigger: EventKind) -> Iterator[str]:
    for name in references(facts):
        if type_of(name, trigger) is None:
            yield f"with: {unknown(name, trigger)}"


def _text(step: Say, vocabulary: Vocabulary) -> Iterator[str]:
    if vocabulary.pictures is not None and step.picture and step.picture not in vocabulary.pictures:
        yield f"nothing draws the picture {step.picture!r}"
    if vocabulary.texts is None:
        return
    wanted = vocabulary.texts.get(step.text)
    if wanted is None:
        yield f"there is no text {step.text!r}"
    elif not wanted - vocabulary.maybe.get(step.text, frozenset()) <= set(step.facts) <= wanted:
        yield f"{step.text} needs exactly: {', '.join(sorted(wanted)) or 'no placeholder'}"
