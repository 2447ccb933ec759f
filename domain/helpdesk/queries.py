"""Reading the helpdesk: the queue, one ticket, and what was said around it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared import trips, wire
from domain.shared.errors import NotFound
from domain.shared.records import record

BEFORE = timedelta(days=1)
"""So much of what was said before a ticket was opened is shown with it."""
MOST_LINES = 60


@record
class TicketView:
    """One ticket as the queue shows it."""

    id: int
    person_id: int
    nickname: str
    question: str
    state: str
    opened_at: datetime
    waits_for: str
    waits_since: datetime
    taken_by: str
    answers: int
    closed_at: datetime | None
    closed_why: str
    closed_by: str


@record
class ChatLine:
    """Something that was said. ``by``: person, bot or shop (then ``actor``). ``kind``: text, image, menu …; private
    text is kept nowhere. ``delivery`` of the shop's words: sent, waits, refused, and ``why``."""

    at: datetime
    by: Literal["person", "bot", "shop"]
    kind: str
    words: str
    actor: str = ""
    delivery: str = ""
    why: str = ""


_COLUMNS = """
    select t.id, t.person_id, p.nickname, t.question, t.state, t.opened_at, t.waits_for, t.waits_since, t.taken_by,
           (select count(*) from ticket_answer a where a.ticket_id = t.id) as answers, t.closed_at, t.closed_why,
           t.closed_by
      from ticket t join person p on p.id = t.person_id"""


_OPEN = "select person_id, id from ticket where person_id = any (%(people)s::bigint[]) and state = 'open'"


def open_of(session: Session, person_id: int) -> int | None:
    """The number of somebody's open ticket, None when there is none."""
    found = trips.rows(session, *open_question([person_id]))
    return found[0].id if found else None


def open_question(people: Sequence[int]) -> wire.Question:
    """What ``open_of`` asks, for whoever asks it ahead."""
    return _OPEN, {"people": people}


def one(session: Session, number: int, *, lock: bool = False) -> TicketView:
    """Raises NotFound("ticket_unknown")."""
    row = session.execute(text(f"{_COLUMNS} where t.id = :id {'for update of t' if lock else ''}"),
                          {"id": min(number, 2**63 - 1)}).first()
    if row is None:
        raise NotFound("ticket_unknown", number=number)
    return TicketView(**row._mapping)


def queue(session: Session, *, taken_by: str = "", limit: int = 200) -> list[TicketView]:
    """Open tickets: those that wait for the shop first, the longest wait first. ``taken_by``: only that operator's and
    nobody's."""
    rows = session.execute(text(f"""{_COLUMNS} where t.state = 'open'
           and (:by = '' or t.taken_by in ('', :by))
         order by t.waits_for desc, t.waits_since, t.id limit :limit"""), {"by": taken_by, "limit": limit})
    return [TicketView(**row._mapping) for row in rows]


def listed(session: Session, person_id: int | None = None, limit: int = 100) -> list[TicketView]:
    """All tickets, or one person's, the newest first."""
    rows = session.execute(text(f"""{_COLUMNS}
         where (cast(:person as bigint) is null or t.person_id = :person) order by t.id desc limit :limit"""),
        {"person": person_id, "limit": limit})
    return [TicketView(**row._mapping) for row in rows]


_SAID = text("""
    select received_at as at, kind, coalesce(payload ->> 'text', '') as words,
           coalesce(payload -> 'data' ->> 'pic_url', payload ->> 'key', '') as what,
           coalesce(reply ->> 'text', '') as answer, coalesce(reply ->> 'kind', '') as answer_kind
      from inbox_message
     where person_id = :person and received_at >= :since and received_at <= :upto
       and kind not in ('unfollow', 'view', 'location_report', 'other', 'unusable')
     order by id desc limit :limit""")

_WROTE = text("""
    select a.at, a.actor, a.words, coalesce(o.state, '') as state, coalesce(o.reason, '') as reason
      from ticket_answer a left join outbox o on o.key = 'notice:helpdesk.answer:' || a.id
     where a.ticket_id = :ticket order by a.id desc limit :limit""")

_DELIVERY = {"done": "sent", "refused": "refused", "dead": "refused"}


def lines(session: Session, ticket: TicketView, now: datetime, limit: int = MOST_LINES) -> list[ChatLine]:
    """What was said from a day before the ticket was opened until it was closed, oldest first; the newest ``limit``."""
    said = session.execute(_SAID, {"person": ticket.person_id, "since": ticket.opened_at - BEFORE,
                                   "upto": ticket.closed_at or now, "limit": limit}).all()
    wrote = session.execute(_WROTE, {"ticket": ticket.id, "limit": limit})
    found: list[ChatLine] = []
    for row in reversed(said):
        found.append(ChatLine(row.at, "person", row.kind, row.words or row.what))
        if row.answer_kind not in ("", "nothing"):
            found.append(ChatLine(row.at, "bot", row.answer_kind, row.answer))
    found += [ChatLine(row.at, "shop", "text", row.words, row.actor, _DELIVERY.get(row.state, "waits"), row.reason)
              for row in wrote]
    return _in_order(found)[-limit:]


def _in_order(found: Sequence[ChatLine]) -> list[ChatLine]:
    return sorted(found, key=lambda line: line.at)  # stable: an answer of the bot follows what it answers
