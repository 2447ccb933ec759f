"""How late the messages are that people wait for; while they are, others are not even looked at."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared.records import record

MARKETING_STOPS = timedelta(minutes=5)
ALL_BUT_MONEY = timedelta(minutes=30)


@record
class Late:
    """The age of the oldest that is due and not done: of answers, money and service, and of answers and money alone."""

    any: timedelta
    money: timedelta


_OLDEST = text("""
    select (select due_at from outbox
             where state in ('waiting', 'running') and queue = 'notice'
               and payload ->> 'purpose' in ('answer', 'money', 'service') and due_at <= :now
             order by due_at limit 1) as any,
           (select due_at from outbox
             where state in ('waiting', 'running') and queue = 'notice'
               and payload ->> 'purpose' in ('answer', 'money', 'service') and payload ->> 'purpose' <> 'service'
               and due_at <= :now
             order by due_at limit 1) as money""")


def late(session: Session, now: datetime) -> Late:
    row = session.execute(_OLDEST, {"now": now}).one()
    return Late(*(now - at if at else timedelta(0) for at in row))
