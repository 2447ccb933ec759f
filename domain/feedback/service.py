"""Feedback: filed, read, adopted (and its author thanked, once), answered. Never commits.

Facts for subscribers (queue ``fact``): ``feedback.adopted`` {feedback, adoption}, due when the time for second
thoughts is over. Whoever carries it out asks ``thank``: only what is still adopted and was never thanked for is told to
journeys.
"""

import json
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor
from domain.feedback.queries import FeedbackView, one
from domain.feedback.rules import FeedbackRules
from domain.notices import service as notices
from domain.shared.errors import Conflict, DomainError
from domain.shared.outbox import Effect, put
from domain.shared.records import record

ANSWER_LIFE = timedelta(days=30)
"""How long an answer waits for its person to write again."""
MOST_WORDS = 600
"""Characters of an answer: what a chat message holds in UTF-8."""
SHOWN = 24
"""Characters of the feedback by which its author recognises it."""


@record
class Filed:
    """``what``: filed, again (the very same within a day, under its first number) or too_many."""

    what: Literal["filed", "again", "too_many"]
    number: int = 0


def file(
    session: Session, person_id: int, words: str, photos: list[dict[str, Any]], rules: FeedbackRules, now: datetime
) -> Filed:
    """Keep what somebody said, not empty, under a new number. The person is locked by whoever handles their message."""
    kept = rules.cut(words)
    facts = {"person": person_id, "words": kept, "now": now, "since": now - timedelta(days=1)}
    rows = session.execute(text("select id, words from feedback where person_id = :person and filed_at > :since"),
                           facts).all()
    same = next((row.id for row in rows if row.words == kept), 0)
    if same:
        return Filed("again", same)
    if len(rows) >= rules.per_day:
        return Filed("too_many")
    number = session.execute(text("""
        insert into feedback (person_id, words, photos, filed_at)
        values (:person, :words, cast(:photos as jsonb), :now) returning id"""),
        facts | {"photos": json.dumps(photos[: rules.photos])}).scalar_one()
    return Filed("filed", int(number))


def add_photo(session: Session, number: int, person_id: int, photo: dict[str, Any], rules: FeedbackRules) -> int:
    """One more picture to somebody's own feedback; returns how many more there may be, -1: one too many."""
    left = session.execute(text("""
        update feedback set photos = photos || cast(:photo as jsonb)
         where id = :id and person_id = :person and jsonb_array_length(photos) < :most
        returning :most - jsonb_array_length(photos)"""),
        {"id": number, "person": person_id, "photo": json.dumps([photo]), "most": rules.photos}).scalar()
    return -1 if left is None else int(left)


def read(session: Session, number: int, actor: Actor, now: datetime) -> FeedbackView:
    """Somebody of the shop has read it. Raises NotFound("feedback_unknown")."""
    done = session.execute(text("update feedback set state = 'read', read_at = :now where id = :id and state = 'new'"
                                " returning id"), {"id": number, "now": now}).first()
    if done:
        audit.record(session, actor, "feedback.read", f"feedback:{number}", {}, now)
    return one(session, number)


def adopt(
    session: Session, number: int, outcome: str, rules: FeedbackRules, actor: Actor, now: datetime
) -> FeedbackView:
    """The shop does what was suggested. ``outcome``: what came of it, for the author; may be ''.

    Raises NotFound("feedback_unknown"), Conflict("feedback_adopted"), DomainError("words_too_long").
    """
    said = _short(outcome)
    before = one(session, number, lock=True)
    if before.state == "adopted":
        raise Conflict("feedback_adopted", number=number)
    session.execute(text("""
        update feedback set state = 'adopted', adopted_at = :now, adopted_by = :by, outcome = :outcome,
               adoptions = adoptions + 1, read_at = coalesce(read_at, :now) where id = :id"""),
        {"id": number, "now": now, "by": actor.name, "outcome": said})
    audit.record(session, actor, "feedback.adopt", f"feedback:{number}", {"person": before.person_id}, now)
    adoption = before.adoptions + 1
    put(session, [Effect("fact", "feedback.adopted", f"feedback.adopted:{number}:{adoption}", before.person_id,
                         {"feedback": number, "adoption": adoption},
                         delay=timedelta(minutes=rules.second_thoughts_minutes))], now)
    return one(session, number)


def withdraw(session: Session, number: int, why: str, actor: Actor, now: datetime) -> FeedbackView:
    """Take an adoption back. An author who was not thanked yet hears nothing; what was given stays theirs.

    Raises NotFound("feedback_unknown"), DomainError("feedback_not_adopted" | "reason_missing").
    """
    reason = _short(why)
    if not reason:
        raise DomainError("reason_missing")
    before = one(session, number, lock=True)
    if before.state != "adopted":
        raise DomainError("feedback_not_adopted", number=number)
    session.execute(text("update feedback set state = 'read', adopted_at = null, adopted_by = '', outcome = ''"
                         " where id = :id"), {"id": number})
    audit.record(session, actor, "feedback.withdraw", f"feedback:{number}",
                 {"person": before.person_id, "why": reason, "thanked": before.thanked_at is not None}, now)
    return one(session, number)


def thank(session: Session, number: int, adoption: int, now: datetime) -> FeedbackView | None:
    """The feedback whose author is to be thanked now; None when this adoption was taken back, or they were thanked
    before. Marks them as thanked."""
    found = session.execute(text("""
        update feedback set thanked_at = :now
         where id = :id and state = 'adopted' and adoptions = :adoption and thanked_at is null returning id"""),
        {"id": number, "adoption": adoption, "now": now}).first()
    return one(session, number) if found else None


def answer(session: Session, number: int, words: str, actor: Actor, now: datetime) -> FeedbackView:
    """Write back to the author; it leaves when the platform lets us write to them.

    Raises NotFound("feedback_unknown"), DomainError("words_missing" | "words_too_long").
    """
    said = _short(words)
    if not said:
        raise DomainError("words_missing")
    before = one(session, number, lock=True)
    session.execute(text("""
        update feedback set answer = :said, answered_at = :now, answered_by = :by, answers = answers + 1,
               state = case when state = 'new' then 'read' else state end, read_at = coalesce(read_at, :now)
         where id = :id"""), {"id": number, "said": said, "now": now, "by": actor.name})
    audit.record(session, actor, "feedback.answer", f"feedback:{number}",
                 {"person": before.person_id, "characters": len(said)}, now)
    facts = {"number": number, "about": before.about(SHOWN), "said": said}
    notices.tell(session, notices.Notice(before.person_id, "service", f"feedback.answer:{number}:{before.answers + 1}",
                                         "feedback.answer", facts, expires_at=now + ANSWER_LIFE), now)
    return one(session, number)


def _short(words: str) -> str:
    """The words, stripped. Raises DomainError("words_too_long")."""
    said = words.strip()
    if len(said) > MOST_WORDS:
        raise DomainError("words_too_long", most=MOST_WORDS)
    return said


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part."""
    moved = session.execute(text("update feedback set person_id = :kept where person_id = :gone returning id"),
                            {"kept": kept_id, "gone": gone_id}).all()
    return {"feedback": len(moved)} if moved else {}
