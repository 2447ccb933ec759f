"""What is due now, asked in one transaction: the clock rings for it, and a worker does only what there is to do.

Most questions find nothing. Asking eight times in transactions of their own cost a worker more than its work.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain import workflows

_QUEUES = text(
    """
    select exists (select from outbox where queue = 'fact' and state in ('waiting', 'running')
                      and due_at <= :now and (state = 'waiting' or lease_until <= clock_timestamp())) as facts,
           exists (select from outbox where queue = 'notice' and state in ('waiting', 'running')
                      and due_at <= :now and (state = 'waiting' or lease_until <= clock_timestamp())) as notices,
           exists (select from outbox where queue = 'slow' and state in ('waiting', 'running')
                      and due_at <= :now and (state = 'waiting' or lease_until <= clock_timestamp())) as slow,
           exists (select from inbox_message where state = 'failed' and due_at <= :now) as inbox
    """
)


@dataclass(frozen=True, slots=True)
class Pulse:
    """What somebody would find to do: failed messages, events and money, facts, journeys, notices, pictures."""

    inbox: bool
    books: bool
    facts: bool
    journeys: bool
    notices: bool
    slow: bool


def feel(session: Session, now: datetime) -> Pulse:
    queues = session.execute(_QUEUES, {"now": now}).one()
    return Pulse(inbox=queues.inbox, books=workflows.anything_due(session, now), facts=queues.facts,
                 journeys=workflows.anybody_due(session, now), notices=queues.notices, slow=queues.slow)
