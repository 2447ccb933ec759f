"""What would happen to one person, step by step and with every reason. Writes nothing.

Time is jumped over, facts stay as they are today (or as the asker assumes): the preview answers "why", the simulation
"how many".
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from domain.journeys import store
from domain.journeys.conditions import Value, explain, holds
from domain.journeys.crowd import Crowd
from domain.journeys.document import Branch, Grant, Journey, Repeat, Say, Step, Wait, WaitFor
from domain.journeys.events import EVENTS, TYPES, example
from domain.journeys.facts import FACTS
from domain.journeys.rules import advance, called_off, entered, entry, is_held, key_of, looking
from domain.journeys.runs import Edition, Event, Run, Visit, Walk
from domain.notices import rules as manners
from domain.shared.clock import SHANGHAI
from domain.shared.records import record

EVENT_FIELD = re.compile(r"\{event\.(\w+)\}")
MOST = 200
"""Lines of a preview; a journey that is longer than this repeats itself."""


@record
class Line:
    """One thing that would happen at ``at``: the step's outcome and the reason for it. ``text`` and ``facts``: what
    would be said; ``verdict``: what the notice policy would say at that time (rights to write are not foreseen).
    ``made_up``: fields of the event that the text needs and nobody gave; examples stand for them.
    """

    at: datetime
    step: str
    outcome: str
    reason: str = ""
    text: str = ""
    facts: dict[str, Value] = field(default_factory=dict)
    verdict: str = ""
    made_up: tuple[str, ...] = ()


@record
class Preview:
    """``enters`` with its reason; ``holdout``: this person would in truth only be watched."""

    enters: bool
    why: str
    holdout: bool
    lines: list[Line]
    end: str


class Assumed:
    """The facts of today, except those that the asker assumes (a ``runs.Facts``)."""

    def __init__(self, crowd: Crowd, run: Run, assumed: Mapping[str, Value]) -> None:
        self._one, self._assumed = crowd.of(run.person_id, run.event), assumed

    def fact(self, name: str) -> Value:
        return self._assumed[name] if name in self._assumed else self._one.fact(name)

    def arm(self, _experiment: str) -> str | None:
        """Nobody is exposed by a preview: the weights of the split decide."""
        return None


def preview(
    session: Session, journey: Journey, person_id: int, data: Mapping[str, Any], now: datetime,
    policy: manners.Policy, *, assumed: Mapping[str, Value] | None = None, happens: Collection[str] = (),
) -> Preview:
    """Let ``data`` happen to the person at ``now`` and follow them to the end. ``happens``: the ``wait_for`` steps
    whose event comes (an hour later); the others run out.
    """
    edition = Edition.of(journey)
    event = Event(journey.on, f"preview:{now.isoformat()}", person_id, now, dict(data))
    run = entered(edition, event, None, now)
    held, run.state, run.due_at = run.holdout, "open", now
    facts = Assumed(Crowd(session, now, [(person_id, run.event)]), run, assumed or {})
    look = looking(run.event, facts)
    known = _latest(session, journey, event)
    verdict = entry(journey, known, event, now)
    why = explain(journey.when, look)
    if verdict == "no" and known is not None:
        began = f"{known.entered_at.astimezone(SHANGHAI):%Y-%m-%d}"
        why = f"reentry is {journey.reentry}, and run {known.run_no} ({known.state}) began on {began}"
    enters = verdict != "no" and holds(journey.when, look)
    lines: list[Line] = []
    while run.state == "open" and len(lines) < MOST:
        at = max(run.due_at, now)
        stopped = called_off(journey, look)
        walk = _walk(edition, run, facts, at, happens)
        lines += [_line(journey, edition.steps[visit.step], visit, walk, facts, at, policy) for visit in walk.visits]
        if run.state == "open" and run.begun:
            lines.append(Line(at, run.step, "waits", f"until {run.due_at.astimezone(SHANGHAI):%Y-%m-%d %H:%M}"))
        if stopped:
            break
    return Preview(enters, why, held and is_held(journey, person_id), lines, run.end_reason or "goes on")


def unusable(journey: Journey, data: Mapping[str, Any], assumed: Mapping[str, Any], happens: Collection[str]
             ) -> list[str]:
    """What a preview was given that it cannot use: unknown names, values of another type. Sentences, [] when all is
    well."""
    steps = {step.id for step in journey.steps if isinstance(step, WaitFor)}
    fields = EVENTS[journey.on].fields
    given = [("event", name, value, fields.get(name)) for name, value in data.items()]
    given += [("assume", name, value, FACTS[name].type if name in FACTS else None) for name, value in assumed.items()]
    faults = [f"{where}.{name}: " + (f"must be of type {kind}" if kind else "is not known here")
              for where, name, value, kind in given if kind is None or type(value) is not TYPES[kind]]
    return faults + [f"happens: there is no wait_for step {step!r}" for step in happens if step not in steps]


def _latest(session: Session, journey: Journey, event: Event) -> Run | None:
    """The person's real latest run with the key that this event would have, if the journey is known."""
    journey_id = store.journey_id(session, journey.key)
    if journey_id is None:
        return None
    key = key_of(journey, event)
    runs = store.latest(session, [event.person_id], [journey_id])
    return next((run for run in runs if run.run_key == key), None)


def _walk(edition: Edition, run: Run, facts: Assumed, at: datetime, happens: Collection[str]) -> Walk:
    step = edition.steps[run.step]
    if isinstance(step, WaitFor) and run.begun and step.id in happens:
        walk = Walk(run)
        walk.visit("heard", "assumed")
        run.step, run.begun, run.since_at = step.next, False, run.since_at + timedelta(hours=1)
        run.planned_at = run.due_at = run.since_at
        return walk
    return advance(edition, run, facts, at, SHANGHAI)


def _line(
    journey: Journey, step: Step, visit: Visit, walk: Walk, facts: Assumed, at: datetime, policy: manners.Policy
) -> Line:
    look = looking(walk.run.event, facts)
    match step:
        case Branch() | Repeat():
            return Line(at, step.id, visit.outcome, explain(step.when, look))
        case Say():
            said = next((deed for deed in walk.deeds if deed.visit_no == visit.no), None)
            if said is None:
                return Line(at, step.id, visit.outcome, visit.reason)
            made_up = _missing(step, said.facts, journey)
            told = said.facts | {name: example(journey.on, field, at) for name, field in made_up.items()}
            return Line(at, step.id, visit.outcome, visit.reason, step.text, told,
                        _verdict(step, said.planned_at, facts, at, policy), tuple(dict.fromkeys(made_up.values())))
        case Grant():
            return Line(at, step.id, visit.outcome, f"{step.what} x {step.amount}")
        case Wait():
            return Line(at, step.id, visit.outcome, visit.reason)
        case _:
            return Line(at, step.id, visit.outcome, visit.reason or visit.arm)


def _missing(step: Say, facts: Mapping[str, Value], journey: Journey) -> dict[str, str]:
    """Placeholders of a text that are to hold a field of the event which nobody gave: placeholder → field."""
    wanted = {name: EVENT_FIELD.fullmatch(written) for name, written in step.facts.items() if isinstance(written, str)}
    return {name: found[1] for name, found in wanted.items()
            if found and facts.get(name) is None and found[1] in EVENTS[journey.on].fields}


def _verdict(step: Say, planned: datetime, facts: Assumed, at: datetime, policy: manners.Policy) -> str:
    purpose = step.purpose or "marketing"
    judged = manners.judge(manners.Facts(
        purpose, at, SHANGHAI, planned + timedelta(seconds=step.expires), bool(facts.fact("person.follows")),
        bool(facts.fact(f"consent.{purpose}")), None), policy)
    if judged.what == "hold" and judged.at is not None:
        return f"hold: {judged.reason} until {judged.at.astimezone(SHANGHAI):%H:%M}"
    return f"{judged.what}: {judged.reason}" if judged.reason else judged.what
