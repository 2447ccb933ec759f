"""What a journey is made of: frozen dataclasses, and what the other modules ask of them. Pure.

``domain.journeys.reading`` makes them from TOML or JSON, ``domain.journeys.writing`` makes the one canonical JSON of
them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from domain.journeys.conditions import ALWAYS, Condition, Value
from domain.shared.records import record

END = "end"
"""Where a step leads that ends the journey; no step may be called so."""
Purpose = Literal["money", "service", "marketing"]
Reentry = Literal["never", "after_exit", "restart", "parallel"]
DAY = 86_400
_HOLE = re.compile(r"\{([a-z_.]+)\}")


@record
class Pause:
    """A length of time from the moment the step is reached."""

    seconds: int


@record
class OnDay:
    """A calendar day: ``days`` after the day on which the step is reached, at ``minute`` of the person's day."""

    days: int
    minute: int


@record
class UntilAnchor:
    """A moment reckoned from the anchor (when the run was entered or restarted): ``anchor + plus days + offset``.

    ``plus`` names a fact in days ('' for none), e.g. the consumption cycle of what was bought. ``minute``: at this
    minute of that local day instead of the exact moment; None keeps the moment.
    """

    plus: str = ""
    offset: int = 0
    minute: int | None = None


Span = Pause | OnDay | UntilAnchor


@record
class Wait:
    """Do nothing until then. ``otherwise``: where to go when the moment cannot be told (the fact is not known)."""

    id: str
    span: Span
    next: str
    otherwise: str = END


@record
class WaitFor:
    """Wait for an event of the same person; ``match`` names fields that must equal those of the entering event."""

    id: str
    on: str
    match: tuple[str, ...]
    when: Condition
    timeout: int
    next: str
    otherwise: str


@record
class Branch:
    """Two ways, by a condition over facts."""

    id: str
    when: Condition
    then: str
    next: str


@record
class Split:
    """Ways by the arm of an experiment. ``arms``: arm → step; ``weights`` in parts, used while no experiment assigns.
    """

    id: str
    experiment: str
    arms: Mapping[str, str]
    weights: Mapping[str, int]


@record
class Say:
    """Tell the person a text of assets/copy. ``facts``: placeholder → literal or ``{name}`` of a fact.

    ``purpose`` '' is the journey's. Skipped, not sent late, when ``expires`` seconds have passed since it was planned.
    ``picture`` names a picture that is sent with the text ('' for none).
    """

    id: str
    text: str
    purpose: Purpose | Literal[""]
    expires: int
    facts: Mapping[str, Value]
    picture: str
    next: str


@record
class Grant:
    """Give something: ``what`` as ``coupon:restock``, ``amount`` >= 1. ``once`` makes it once a person and value, ever.

    ``once`` may hold ``{event.field}``; '' means once a visit of this step. ``cost_fen``: what one costs the shop, for
    the simulation only.
    """

    id: str
    what: str
    amount: int
    once: str
    cost_fen: int
    next: str


@record
class Tag:
    """Put a tag on the person, or take it off."""

    id: str
    tag: str
    remove: bool
    next: str


@record
class Emit:
    """Let an event happen to the person that other journeys may listen to."""

    id: str
    event: str
    facts: Mapping[str, Value]
    next: str


@record
class Repeat:
    """Go back to ``to``, at most ``most`` times in a run and only while ``when`` holds; then on."""

    id: str
    to: str
    most: int
    when: Condition
    next: str


Step = Wait | WaitFor | Branch | Split | Say | Grant | Tag | Emit | Repeat


@record
class Exit:
    """What ends a run early. With ``on``: such an event; without: the condition alone, asked at every claim and at send
    time.

    ``when`` may name ``this.field`` of the event. ``reason`` is the outcome that is kept. ``lasting``: without an
    event, the condition must be found twice, so many seconds apart; who is in doubt is told nothing meanwhile.
    """

    on: str
    match: tuple[str, ...]
    when: Condition
    reason: str
    lasting: int = 0


@record
class Goal:
    """What the journey is for: an event within ``within`` seconds of entering. It ends the run and counts as converted.
    """

    on: str
    match: tuple[str, ...]
    when: Condition
    within: int


@record
class Journey:
    """A whole journey. Times in seconds; ``holdout_bps`` of the people are never treated and show what would have been.
    """

    key: str
    title: str
    about: str
    purpose: Purpose
    on: str
    steps: tuple[Step, ...]
    when: Condition = ALWAYS
    run_key: str = ""
    reentry: Reentry = "never"
    cooldown: int = 0
    max_age: int = 3 * DAY
    holdout_bps: int = 500
    priority: int = 0
    goal: Goal | None = None
    exits: tuple[Exit, ...] = ()

    @property
    def first(self) -> str:
        return self.steps[0].id

    def by_id(self) -> dict[str, Step]:
        return {step.id: step for step in self.steps}

    def purpose_of(self, step: Say) -> Purpose:
        return step.purpose or self.purpose

    def conditions(self) -> Iterator[tuple[str, Condition]]:
        """Every condition with the place where it stands."""
        yield "when", self.when
        if self.goal:
            yield "goal", self.goal.when
        yield from ((f"exits[{n}]", one.when) for n, one in enumerate(self.exits, 1))
        for step in self.steps:
            if isinstance(step, Branch | Repeat | WaitFor):
                yield f"step {step.id}", step.when

    def listens(self) -> frozenset[str]:
        """The events that may mean something to this journey."""
        waited = {step.on for step in self.steps if isinstance(step, WaitFor)}
        ends = {one.on for one in self.exits if one.on} | ({self.goal.on} if self.goal else set())
        return frozenset({self.on} | waited | ends | {OPT_OUT})


OPT_OUT = "consent.stopped"
"""The event of somebody who wants to hear less: ends every run whose purpose they refuse."""


def leads_to(step: Step) -> tuple[str, ...]:
    """Every step that may come after this one (END included)."""
    match step:
        case Wait(next=on, otherwise=other) | WaitFor(next=on, otherwise=other):
            return (on, other) if not isinstance(step, Wait) or _may_fail(step) else (on,)
        case Branch(then=then, next=on):
            return then, on
        case Split(arms=arms):
            return tuple(arms.values())
        case Repeat(to=back, next=on):
            return back, on
        case _:
            return (step.next,)


def _may_fail(step: Wait) -> bool:
    return isinstance(step.span, UntilAnchor) and bool(step.span.plus)


def references(facts: Mapping[str, Value]) -> Iterator[str]:
    """The names of facts in a table of placeholders: values written as ``{name}``."""
    for value in facts.values():
        if (name := reference(value)) is not None:
            yield name


def reference(value: Value) -> str | None:
    """``{event.title}`` → ``event.title``; None for a literal."""
    if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
        return value[1:-1]
    return None


def names_in(template: str) -> list[str]:
    """The fields that a run key or a one-off key names."""
    return [name.removeprefix("event.") for name in _HOLE.findall(template)]


def fill(template: str, event: Mapping[str, Any]) -> str:
    """A key with the fields of the entering event; a field that the event does not have becomes ''."""
    return _HOLE.sub(lambda hole: str(event.get(hole[1].removeprefix("event."), "")), template)
