"""The last question before a message leaves: does its journey still want it? Planning time is not trusted."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.journeys import store
from domain.journeys.crowd import Crowd
from domain.journeys.library import Library
from domain.journeys.rules import called_off, ends_by, looking
from domain.journeys.runs import ENDED_WELL, INSIDE, Event

PAUSED = "journey_paused"

_PENDING = text("select kind, key, person_id, at, depth, data from journey_event where person_id = :person"
                " and state = 'new' order by id")
_STATE = text("select state from journey where id = :id")


def objection(session: Session, library: Library, guard: str, now: datetime) -> str:
    """Why the message of this visit (``enrolment:visit``) must not leave any more; '' when it may.

    goal: what it asks for has happened, also when that event is still waiting to be heard · an exit's reason · PAUSED:
    not now, perhaps later · gone: there is no such run.
    """
    run = store.one(session, int(guard.partition(":")[0]))
    if run is None:
        return "gone"
    if run.converted_at is not None:
        return "goal"
    if run.end_reason and run.end_reason not in ENDED_WELL:
        return run.end_reason
    if session.execute(_STATE, {"id": run.journey_id}).scalar_one() == "paused":
        return PAUSED
    journey = library.edition(session, run.journey_id, run.version).journey
    facts = Crowd(session, now, [(run.person_id, run.event)]).of(run.person_id, run.event)
    for row in session.execute(_PENDING, {"person": run.person_id}):
        event = Event(row.kind, row.key, row.person_id, row.at, row.data, row.depth)
        reason = ends_by(journey, run, event, looking(run.event, facts, event.data))
        if reason and event.key != run.event_key:
            return reason
    return called_off(journey, looking(run.event, facts)) if run.state in INSIDE else ""
