"""Talking with a human: a ticket is opened, answered, handed on and closed. Never commits.

Whoever asked waits for the answer, so it leaves as purpose ``answer``: at any hour, within the rights that the platform
gives; without one it waits until the person writes, and comes then.
"""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.helpdesk import queries
from domain.helpdesk.queries import TicketView
from domain.helpdesk.rules import HelpdeskRules
from domain.notices import service as notices
from domain.shared.errors import DomainError
from domain.shared.records import record

LONGEST_QUESTION = 500
MOST_WORDS = 600
"""Characters of an answer: what a chat message holds in UTF-8."""
ANSWER_LIFE = timedelta(days=30)
TALKING = timedelta(minutes=30)
"""While somebody of the shop wrote or we confirmed so lately, what a person adds is taken in without a word."""


@record
class Opened:
    """``fresh``: opened by this; else one was open already, and this was added to it."""

    number: int
    fresh: bool


def ask(session: Session, person_id: int, account: str, question: str, now: datetime) -> Opened:
    """Somebody wants to talk to a human. The person is locked by whoever handles their message."""
    said = question.replace("\0", "").strip()
    kept = said if len(said) <= LONGEST_QUESTION else said[: LONGEST_QUESTION - 1] + "…"
    open_one = queries.open_of(session, person_id)
    if open_one is not None:
        _heard(session, open_one, True, now)
        return Opened(open_one, False)
    number = session.execute(text("""
        insert into ticket (person_id, account, question, opened_at, waits_since, told_at)
        values (:person, :account, :question, :now, :now, :now) returning id"""),
        {"person": person_id, "account": account, "question": kept, "now": now}).scalar_one()
    return Opened(int(number), True)


def add(session: Session, person_id: int, now: datetime) -> int | None:
    """The person said more. Returns the number to confirm, None when nothing needs to be said (``TALKING``) or no
    ticket is open. The first that is added is confirmed in any case: nobody knows yet that it reaches a human."""
    number = queries.open_of(session, person_id)
    if number is None:
        return None
    quiet = session.scalar(text("""
        select greatest(case when t.told_at > t.opened_at then t.told_at end,
                        (select max(a.at) from ticket_answer a where a.ticket_id = t.id)) > :since
          from ticket t where t.id = :id"""), {"id": number, "since": now - TALKING})
    _heard(session, number, not quiet, now)
    return None if quiet else number


def _heard(session: Session, number: int, told: bool, now: datetime) -> None:
    """It is the shop's turn, from when it became so."""
    session.execute(text("""
        update ticket set waits_since = case when waits_for = 'shop' then waits_since else :now end, waits_for = 'shop',
               told_at = case when :told then greatest(:now, opened_at + interval '1 microsecond') else told_at end
         where id = :id"""),
        {"id": number, "now": now, "told": told})


def take(session: Session, number: int, actor: Actor, now: datetime) -> TicketView:
    """This operator looks after it from now on. Raises NotFound("ticket_unknown"), DomainError("ticket_closed")."""
    before = _open(session, number)
    if before.taken_by == actor.name:
        return before
    _taken(session, number, actor, now)
    audit.record(session, actor, "helpdesk.take", f"ticket:{number}",
                 {"person": before.person_id, "from": before.taken_by}, now)
    return queries.one(session, number)


def answer(session: Session, number: int, words: str, actor: Actor, now: datetime) -> TicketView:
    """Write to the person; who answers a ticket that nobody has takes it.

    Raises NotFound("ticket_unknown"), DomainError("ticket_closed" | "words_missing" | "words_too_long").
    """
    said = words.replace("\0", "").strip()
    if not said:
        raise DomainError("words_missing")
    if len(said) > MOST_WORDS:
        raise DomainError("words_too_long", most=MOST_WORDS)
    before = _open(session, number)
    if not before.taken_by:
        _taken(session, number, actor, now)
    answer_id = session.execute(text("""
        insert into ticket_answer (ticket_id, actor, words, at) values (:ticket, :actor, :words, :now) returning id"""),
        {"ticket": number, "actor": actor.name, "words": said, "now": now}).scalar_one()
    account = session.execute(text("update ticket set waits_for = 'person', waits_since = :now where id = :id"
                                   " returning account"), {"id": number, "now": now}).scalar_one()
    audit.record(session, actor, "helpdesk.answer", f"ticket:{number}",
                 {"person": before.person_id, "answer": answer_id, "characters": len(said)}, now)
    notices.tell(session, notices.Notice(before.person_id, "answer", f"helpdesk.answer:{answer_id}", "helpdesk.answer",
                                         {"number": number, "said": said}, account, now + ANSWER_LIFE), now)
    return queries.one(session, number)


def close(session: Session, number: int, why: str, actor: Actor, now: datetime) -> TicketView:
    """The shop has done what there was to do. ``why`` is kept in the log; without words of the customer, please.

    Raises NotFound("ticket_unknown"), DomainError("ticket_closed" | "reason_missing").
    """
    if not why.strip():
        raise DomainError("reason_missing")
    before = _open(session, number)
    session.execute(text("update ticket set state = 'closed', closed_at = :now, closed_why = 'shop', closed_by = :by"
                         " where id = :id"), {"id": number, "now": now, "by": actor.name})
    audit.record(session, actor, "helpdesk.close", f"ticket:{number}",
                 {"person": before.person_id, "why": why.strip()[:200]}, now)
    return queries.one(session, number)


def done(session: Session, person_id: int, now: datetime) -> int | None:
    """The person needs nobody any more; the number of what was closed."""
    found: int | None = session.scalar(text("""
        update ticket set state = 'closed', closed_at = :now, closed_why = 'person'
         where person_id = :person and state = 'open' returning id"""), {"person": person_id, "now": now})
    return found


def settle(session: Session, rules: HelpdeskRules, now: datetime, limit: int) -> int:
    """Close what the person has left alone for long after the shop's answer. Who waits for the shop is never closed.
    Returns how many were."""
    rows = session.execute(text("""
        update ticket set state = 'closed', closed_at = :now, closed_why = 'silence' where id in (
            select id from ticket where state = 'open' and waits_for = 'person' and waits_since <= :before
             order by id limit :limit for update skip locked) returning id"""),
        {"now": now, "before": now - timedelta(hours=rules.closes_after_hours), "limit": limit}).all()
    return len(rows)


def _open(session: Session, number: int) -> TicketView:
    found = queries.one(session, number, lock=True)
    if found.state != "open":
        raise DomainError("ticket_closed", number=number)
    return found


def _taken(session: Session, number: int, actor: Actor, now: datetime) -> None:
    session.execute(text("update ticket set taken_by = :by, taken_at = :now where id = :id"),
                    {"id": number, "by": actor.name, "now": now})


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part: of two open tickets the one that goes is closed, with what was said in it."""
    ends = {"kept": kept_id, "gone": gone_id, "now": now}
    session.execute(text("""
        update ticket set state = 'closed', closed_at = :now, closed_why = 'merged'
         where person_id = :gone and state = 'open'
           and exists (select from ticket k where k.person_id = :kept and k.state = 'open')"""), ends)
    moved = session.execute(text("update ticket set person_id = :kept where person_id = :gone returning id"),
                            ends).all()
    return {"ticket": len(moved)} if moved else {}
