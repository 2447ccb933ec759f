"""What leaves a journey: each deed of a walk becomes an effect of the outbox or an event, with a key made from the
visit.

The key holds the number of the visit and not the step, so that a step which a Repeat leads back to acts again.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from domain.journeys.document import Emit, Grant, Journey, Say, Tag, fill
from domain.journeys.runs import Deed, Event, Run
from domain.notices import service as notices
from domain.shared.outbox import Effect

MAX_DEPTH = 5
"""So many journeys may wake one another; a ring of them ends here."""


def key_of(run: Run, visit_no: int) -> str:
    """Names one visit of one run, for idempotency keys."""
    return f"journey:{run.id}:{run.run_no}:{visit_no}"


def effects_of(journey: Journey, run: Run, deeds: Iterable[Deed], now: datetime) -> list[Effect]:
    """The outbox rows of a walk's deeds (``Emit`` has none, see ``events_of``)."""
    made: list[Effect] = []
    for deed in deeds:
        key = key_of(run, deed.visit_no)
        match deed.step:
            case Say():
                made += _said(journey, run, deed, deed.step, key, now)
            case Grant():
                made.append(_granted(journey, run, deed.step, key))
            case Tag(tag=tag, remove=remove):
                word = "tag.remove" if remove else "tag.add"
                made.append(Effect("fact", word, f"{word}:{key}", run.person_id,
                                   {"tag": tag, "cause": key, "journey": journey.key}))
    return made


def _said(journey: Journey, run: Run, deed: Deed, step: Say, key: str, now: datetime) -> list[Effect]:
    purpose = journey.purpose_of(step)
    expires = deed.planned_at + timedelta(seconds=step.expires)
    guard = f"{run.id}:{deed.visit_no}"
    notice = notices.Notice(run.person_id, purpose, key, step.text, dict(deed.facts), expires_at=expires, guard=guard,
                            priority=journey.priority)
    made = [notices.effect(notice, now)]
    if step.picture:
        payload = {"purpose": purpose, "guard": guard, "event": run.event, "cause": key, "account": ""}
        made.append(Effect("slow", f"picture.{step.picture}", f"picture:{key}", run.person_id, payload,
                           expires_at=expires))
    return made


def _granted(journey: Journey, run: Run, step: Grant, key: str) -> Effect:
    kind = step.what.partition(":")[0]
    once = f"once:{run.person_id}:{step.what}:{fill(step.once, run.event)}" if step.once else key
    payload = {"person_id": run.person_id, "what": step.what, "amount": step.amount, "cause": once,
               "journey": journey.key, "title": journey.title}
    return Effect("fact", f"grant.{kind}", f"grant:{once}", run.person_id, payload)


def events_of(run: Run, deeds: Iterable[Deed], now: datetime) -> list[Event]:
    """The events that a walk lets happen. A ring of journeys that wake one another goes no deeper than MAX_DEPTH."""
    if run.depth >= MAX_DEPTH:
        return []
    return [Event(deed.step.event, f"emit:{key_of(run, deed.visit_no)}", run.person_id, now,
                  {name: value for name, value in deed.facts.items() if value is not None}, run.depth + 1)
            for deed in deeds if isinstance(deed.step, Emit)]
