"""What is due now, asked in one transaction: the clock rings for it, and a worker does only what there is to do.

Most questions find nothing. Asking eight times in transactions of their own cost a worker more than its work, and each
question that travels alone half a millisecond.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain import workflows
from domain.shared.records import record

_DUE = text(
    f"""
    select exists (select from earned_news) or exists (
               select from outbox where queue = 'fact' and state in ('waiting', 'running')
                  and due_at <= :now and (state = 'waiting' or lease_until <= clock_timestamp())) as facts,
           exists (select from outbox where queue = 'notice' and state in ('waiting', 'running')
                      and due_at <= :now and (state = 'waiting' or lease_until <= clock_timestamp())) as notices,
           exists (select from outbox where queue = 'slow' and state in ('waiting', 'running')
                      and due_at <= :now and (state = 'waiting' or lease_until <= clock_timestamp())) as slow,
           exists (select from inbox_message where state = 'failed' and due_at <= :now) as inbox,
           coalesce(({workflows.NEXT_DUE}) <= :now, false) as books, ({workflows.ANYBODY_DUE}) as journeys
    """  # noqa: S608 - constants
)


@record
class Pulse:
    """What somebody would find to do: failed messages, events and money, facts, journeys, notices, pictures."""

    inbox: bool
    books: bool
    facts: bool
    journeys: bool
    notices: bool
    slow: bool


def feel(session: Session, now: datetime) -> Pulse:
    due = session.execute(_DUE, {"now": now}).one()
    return Pulse(inbox=due.inbox, books=due.books, facts=due.facts, journeys=due.journeys, notices=due.notices,
                 slow=due.slow)
