"""Writes a Journey as the one canonical JSON of it: the contract that is stored, compared and read back. Pure.

It is the authoring form with everything said, so ``reading.read`` takes it too.
"""

import hashlib
import json
from typing import Any

from domain.journeys.conditions import ALWAYS, Condition, write
from domain.journeys.document import (
    Branch,
    Emit,
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
from domain.journeys.reading import written_duration

Json = dict[str, Any]


def dump(journey: Journey) -> Json:
    """The form of a journey as plain JSON values."""
    made: Json = {
        "key": journey.key, "title": journey.title, "about": journey.about, "purpose": journey.purpose,
        "on": journey.on, "run_key": journey.run_key, "reentry": journey.reentry,
        "cooldown": written_duration(journey.cooldown), "max_age": written_duration(journey.max_age),
        "holdout": f"{journey.holdout_bps // 100}.{journey.holdout_bps % 100:02d}%",
        "priority": journey.priority,
        "exits": [{"on": one.on, "match": list(one.match), "reason": one.reason} | _if("when", one.when)
                  | ({"for": written_duration(one.lasting)} if one.lasting else {})
                  for one in journey.exits],
        "step": [{"id": step.id} | _step(step) for step in journey.steps],
    } | _if("when", journey.when)
    if goal := journey.goal:
        made["goal"] = {"on": goal.on, "match": list(goal.match), "within": written_duration(goal.within)} | _if(
            "when", goal.when)
    return made


def canonical(journey: Journey) -> str:
    """The same journey always gives the same text."""
    return json.dumps(dump(journey), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def checksum(journey: Journey) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(journey).encode()).hexdigest()


def _if(name: str, condition: Condition) -> Json:
    return {} if condition == ALWAYS else {name: write(condition)}


def _step(step: Step) -> Json:
    match step:
        case Wait():
            return {"wait": _span(step.span), "next": step.next, "otherwise": step.otherwise}
        case WaitFor():
            return {"wait_for": step.on, "match": list(step.match), "timeout": written_duration(step.timeout),
                    "next": step.next, "otherwise": step.otherwise} | _if("when", step.when)
        case Branch():
            return {"if": write(step.when), "then": step.then, "else": step.next}
        case Split():
            return {"split": step.experiment, "arms": dict(step.arms), "weights": dict(step.weights)}
        case Say():
            return {"say": step.text, "purpose": step.purpose, "expires": written_duration(step.expires),
                    "with": dict(step.facts), "picture": step.picture, "next": step.next}
        case Grant():
            return {"grant": step.what, "amount": step.amount, "once": step.once, "cost_fen": step.cost_fen,
                    "next": step.next}
        case Tag():
            return {"untag" if step.remove else "tag": step.tag, "next": step.next}
        case Emit():
            return {"emit": step.event, "with": dict(step.facts), "next": step.next}
        case Repeat():
            return {"repeat": step.to, "max": step.most, "next": step.next} | _if("while", step.when)


def _span(span: Span) -> Any:
    match span:
        case Pause(seconds):
            return written_duration(seconds)
        case OnDay(days, minute):
            return {"days": days, "at": _clock(minute)}
        case UntilAnchor(plus, offset, minute):
            made: Json = {"until": "anchor", "plus": plus, "offset": written_duration(offset)}
            return made if minute is None else made | {"at": _clock(minute)}


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
