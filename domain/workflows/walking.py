"""Journeys at work: what happened is heard, and whoever is due walks on. Batches first; what fails is done one by one.
"""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy.orm import Session, sessionmaker

from domain.journeys import engine, hearing
from domain.journeys.library import Library
from domain.ledger.service import retrying, try_again

EVENTS, PEOPLE = 500, 500
"""So many are taken at once: large enough to pay for a transaction, small enough to be over in a blink."""

ANYBODY_DUE = """
    select exists (select from journey_event where state = 'new' and due_at <= :now)
        or exists (select from journey j where j.state in ('live', 'draining') and exists (
               select from enrolment_due d where d.journey_id = j.id and d.due_at <= :now))
"""


def walk_journeys(sessions: sessionmaker[Session], library: Library, now: datetime) -> int:
    """Hear what happened and move who is due, a batch of each in transactions of their own; how many were taken.

    Several workers at once share the work. Deadlocks and serialisation failures run a batch again.
    """
    done = _batch(sessions, partial(hearing.hear_batch, library=library, now=now, limit=EVENTS),
                  partial(hearing.hear_singly, library=library, now=now, limit=EVENTS))
    with sessions.begin() as session:
        due = engine.journeys_due(session, now)
    for journey_id in due:
        asked: dict[str, Any] = {"library": library, "journey_id": journey_id, "now": now, "limit": PEOPLE}
        done += _batch(sessions, partial(engine.move_batch, **asked), partial(engine.move_singly, **asked))
    return done


def _batch(sessions: sessionmaker[Session], together: Callable[[Session], int],
           singly: Callable[[Session], int]) -> int:
    try:
        return retrying(sessions, together)
    except Exception as fault:  # whatever it was, it must not hold up the others
        if try_again(fault):
            raise
        return retrying(sessions, singly)
