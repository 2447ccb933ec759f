"""A person's run through a journey and what is told of it, as plain values. Pure."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from domain.journeys.conditions import Value
from domain.journeys.document import Emit, Grant, Journey, Say, Step, Tag
from domain.shared.records import record

State = Literal["open", "held", "parked", "ended"]
INSIDE = ("open", "held", "parked")
"""States that occupy a run key."""
ENDED_WELL = ("finished", "goal", "no_goal")


class Facts(Protocol):
    """What is known of one person while they walk."""

    def fact(self, name: str) -> Value:
        """The value of a registered fact."""
        ...

    def arm(self, experiment: str) -> str | None:
        """The arm that an experiment gives this person; None while nobody runs it."""
        ...


@record
class Event:
    """Something that happened to a person. ``key`` makes it once ever; ``at`` is when it happened, not when it was
    heard.

    ``depth`` counts how many journeys stand between it and the world outside.
    """

    kind: str
    key: str
    person_id: int
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    depth: int = 0


@record
class Edition:
    """One published version of a journey, ready to be walked."""

    journey_id: int
    version: int
    journey: Journey
    steps: Mapping[str, Step]

    @classmethod
    def of(cls, journey: Journey, journey_id: int = 0, version: int = 0) -> "Edition":
        return cls(journey_id, version, journey, journey.by_id())


class Run(msgspec.Struct):
    """One person in one journey: a row of ``enrolment``. ``begun``: the wait at ``step`` has started and ends at
    ``due_at``.

    ``since_at``: when the step was reached; ``planned_at``: when what comes now should happen (``due_at`` may be later,
    when a pause spread it). ``event``: fields of the entering event; ``loops``: how often each Repeat led back.
    """

    person_id: int
    run_key: str
    event: dict[str, Any]
    event_key: str
    entered_at: datetime
    anchor_at: datetime
    since_at: datetime
    planned_at: datetime
    due_at: datetime
    step: str
    version: int
    journey_id: int = 0
    id: int = 0
    run_no: int = 1
    state: State = "open"
    begun: bool = False
    holdout: bool = False
    visit_no: int = 0
    attempts: int = 0
    depth: int = 0
    end_reason: str = ""
    ended_at: datetime | None = None
    goal_until: datetime | None = None
    converted_at: datetime | None = None
    loops: dict[str, int] = msgspec.field(default_factory=dict)
    doubted_at: datetime | None = None

    def twin(self) -> "Run":
        """A copy to walk with."""
        made = copy(self)
        made.loops = dict(self.loops)
        return made


class Visit(NamedTuple):
    """One step that was passed, with its outcome and the reason when it was not simply done. A wait that just went by
    leaves none: the step after it says when."""

    no: int
    step: str
    outcome: str
    reason: str
    arm: str
    planned_at: datetime


class Deed(NamedTuple):
    """Something to be done outside: the step that wants it (Say, Grant, Tag or Emit) with its facts looked up."""

    visit_no: int
    step: Say | Grant | Tag | Emit
    planned_at: datetime
    facts: dict[str, Value]


@dataclass(slots=True)
class Walk:
    """What one claim made of a run."""

    run: Run
    visits: list[Visit] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)

    def visit(self, outcome: str, reason: str = "", arm: str = "") -> None:
        self.run.visit_no += 1
        self.visits.append(Visit(self.run.visit_no, self.run.step, outcome, reason, arm, self.run.planned_at))

    def do(self, step: Say | Grant | Tag | Emit, facts: dict[str, Value] | None = None) -> None:
        self.deeds.append(Deed(self.run.visit_no, step, self.run.planned_at, facts or {}))
