"""Topics: opened, talked about, judged word by word, closed. Never commits.

A word is shown to nobody before an operator picked it. One person has one word in a topic and may replace it; what
replaces is judged anew; whoever takes theirs back is shown no more. The reward of a word is marked here, once
(``thank``); points and thanks are given by ``workflows.picking``.
"""

import re
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor, Role
from domain.shared.errors import Conflict, DomainError
from domain.shared.records import record
from domain.shared.wording import Wording
from domain.topics import queries
from domain.topics.queries import TopicView, WordView
from domain.topics.rules import INTRO, MOST_POINTS, TITLE, TopicRules, clean

ROLES: frozenset[Role] = frozenset({"owner", "operator"})
MOST_DAYS = 90
NUMBER = re.compile(r"[\W_]*(?:[0-9０-９][\W_]*){6,}(?:[xXＸ][\W_]*)?")
"""A phone's, an order's, an ID card's, however it is set apart or ended: nobody means to tell it to everybody."""
ERASED = "…"
"""Stands where words stood that were taken back, or whose author was forgotten."""
AUTHOR = "author"
"""Who judged a word that its author took back."""

Outcome = Literal["said", "replaced", "same", "too_short", "too_long", "number", "too_often", "over"]


def open_topic(session: Session, title: str, intro: str, points: int, days: int, wording: Wording, actor: Actor,
               now: datetime) -> TopicView:
    """Open one. ``points``: what a picked word earns; ``days``: until it closes by itself, 0 for never.

    Raises DomainError("not_permitted" | "topic_title" | "topic_numbers" | "topic_words"), Conflict("topic_open").
    """
    _permitted(actor, "topic.open")
    title, intro = clean(title), clean(intro)
    if not 2 <= len(title) <= TITLE or len(intro) > INTRO:
        raise DomainError("topic_title", title=TITLE, intro=INTRO)
    if not 0 <= points <= MOST_POINTS or not 0 <= days <= MOST_DAYS:
        raise DomainError("topic_numbers", points=MOST_POINTS, days=MOST_DAYS)
    _speakable(f"{title}\n{intro}", wording)
    session.execute(text("update topic set closed_at = ends_at, closed_by = 'time'"
                         " where closed_at is null and ends_at <= :now"), {"now": now})
    number = session.execute(text("""
        insert into topic (title, intro, points, opened_at, opened_by, ends_at)
        values (:title, :intro, :points, :now, :by, :ends) on conflict do nothing returning id"""), {
            "title": title, "intro": intro, "points": points, "now": now, "by": actor.name,
            "ends": now + timedelta(days=days) if days else None}).scalar()
    if number is None:
        raise Conflict("topic_open")
    audit.record(session, actor, "topic.open", f"topic:{number}", {"title": title, "points": points}, now)
    return queries.one(session, number)


def close(session: Session, number: int, actor: Actor, now: datetime) -> TopicView:
    """Nobody can say more to it; what was said may still be picked.

    Raises NotFound("topic_unknown"), DomainError("not_permitted"), Conflict("topic_over").
    """
    _permitted(actor, "topic.close")
    before = queries.one(session, number, lock=True)
    if before.closed_at is not None or (before.ends_at is not None and before.ends_at <= now):
        raise Conflict("topic_over", number=number)
    session.execute(text("update topic set closed_at = :now, closed_by = :by where id = :id"),
                    {"id": number, "now": now, "by": actor.name})
    audit.record(session, actor, "topic.close", f"topic:{number}", {}, now)
    return queries.one(session, number)


@record
class Said:
    """What became of a word; ``length`` as it was counted. ``over``: the topic was closed meanwhile."""

    what: Outcome
    length: int = 0


def say(session: Session, topic_id: int, person_id: int, words: str, rules: TopicRules, now: datetime) -> Said:
    """Take somebody's word, in place of the one before. The person is locked by whoever handles their message."""
    said = clean(words)
    if NUMBER.fullmatch(said):
        return Said("number")
    if len(said) < rules.shortest:
        return Said("too_short", len(said))
    if len(said) > rules.longest:
        return Said("too_long", len(said))
    # Shared, so that a closing waits for words on their way and nobody else does.
    open_ = session.execute(text("""
        select 1 from topic
         where id = :topic and closed_at is null and (ends_at is null or ends_at > :now) for share"""),
        {"topic": topic_id, "now": now}).first()
    if open_ is None:
        return Said("over")
    before = queries.own(session, topic_id, person_id)
    if before is None:
        session.execute(text("insert into topic_word (topic_id, person_id, words, said_at)"
                             " values (:topic, :person, :words, :now)"),
                        {"topic": topic_id, "person": person_id, "words": said, "now": now})
        return Said("said", len(said))
    if before.words == said:
        return Said("same", len(said))
    if before.changes >= rules.changes:
        return Said("too_often", len(said))
    session.execute(text("""
        update topic_word set words = :words, said_at = :now, changes = changes + 1, state = 'new', judged_at = null,
               judged_by = '' where id = :id"""), {"id": before.id, "words": said, "now": now})
    return Said("said" if before.words == ERASED else "replaced", len(said))


@record
class TakenBack:
    """``title`` of the topic and the ``words`` that were taken back."""

    title: str
    words: str


def take_back(session: Session, person_id: int, now: datetime) -> TakenBack | None:
    """Somebody's newest word that still stands is gone: out of everybody's sight, and out of the table. What was given
    for it stays given, and a word in its place earns nothing again. None: they have no word that stands."""
    row = session.execute(text("""
        select w.id, w.words, t.title from topic_word w join topic t on t.id = w.topic_id
         where w.person_id = :person and w.words <> :erased order by w.topic_id desc limit 1 for update of w"""),
        {"person": person_id, "erased": ERASED}).first()
    if row is None:
        return None
    session.execute(text("update topic_word set words = :erased, state = 'passed', judged_at = :now, judged_by = :by"
                         " where id = :id"), {"id": row.id, "erased": ERASED, "now": now, "by": AUTHOR})
    return TakenBack(row.title, row.words)


def pick(session: Session, number: int, wording: Wording, actor: Actor, now: datetime) -> WordView:
    """Show a word to everybody.

    Raises NotFound("topic_word_unknown"), DomainError("not_permitted" | "topic_words" | "topic_word_erased" |
    "topic_word_leaving"),
    Conflict("topic_word_picked").
    """
    _permitted(actor, "topic.pick")
    before = queries.word(session, number, lock=True)
    if before.words == ERASED:
        raise DomainError("topic_word_erased", number=number)
    if queries.leaving(session, before.person_id):
        raise DomainError("topic_word_leaving", number=number)
    if before.state == "picked":
        raise Conflict("topic_word_picked", number=number)
    _speakable(before.words, wording)
    return _judge(session, before, "picked", actor, now)


def pass_over(session: Session, number: int, actor: Actor, now: datetime) -> WordView:
    """Do not show a word, or no longer. Its author hears nothing, and keeps what was given.

    Raises NotFound("topic_word_unknown"), DomainError("not_permitted"), Conflict("topic_word_passed").
    """
    _permitted(actor, "topic.pass")
    before = queries.word(session, number, lock=True)
    if before.state == "passed":
        raise Conflict("topic_word_passed", number=number)
    return _judge(session, before, "passed", actor, now)


def _judge(session: Session, before: WordView, state: str, actor: Actor, now: datetime) -> WordView:
    session.execute(text("update topic_word set state = :state, judged_at = :now, judged_by = :by where id = :id"),
                    {"id": before.id, "state": state, "now": now, "by": actor.name})
    audit.record(session, actor, f"topic.{state}", f"topic_word:{before.id}",
                 {"person": before.person_id, "topic": before.topic_id}, now)
    return queries.word(session, before.id)


def thank(session: Session, number: int, points: int, now: datetime) -> bool:
    """Whether the author is to be rewarded now: only once for each word, whatever was replaced or picked again."""
    return session.execute(text("update topic_word set thanked_at = :now, points = :points"
                                " where id = :id and thanked_at is null returning id"),
                           {"id": number, "points": points, "now": now}).first() is not None


def _speakable(words: str, wording: Wording) -> None:
    """Raises DomainError("topic_words"): others would read words that advertising law forbids the shop."""
    if hits := wording.find(words):
        raise DomainError("topic_words", words="\u3001".join(sorted({hit.word for hit in hits})))


def _permitted(actor: Actor, act: str) -> None:
    if not actor.may(ROLES):
        raise DomainError("not_permitted", act=act)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """A merge's part. Where both said something to one topic, the later word stays, and a reward of either is given."""
    ends = {"kept": kept_id, "gone": gone_id}
    session.execute(text("""
        update topic_word k set thanked_at = coalesce(k.thanked_at, g.thanked_at),
               points = case when k.thanked_at is null then g.points else k.points end,
               changes = greatest(k.changes, g.changes), said_at = greatest(k.said_at, g.said_at),
               words = case when g.said_at > k.said_at then g.words else k.words end,
               state = case when g.said_at > k.said_at then g.state else k.state end,
               judged_at = case when g.said_at > k.said_at then g.judged_at else k.judged_at end,
               judged_by = case when g.said_at > k.said_at then g.judged_by else k.judged_by end
          from topic_word g where k.person_id = :kept and g.person_id = :gone and g.topic_id = k.topic_id"""), ends)
    session.execute(text("delete from topic_word g using topic_word k where g.person_id = :gone"
                         " and k.person_id = :kept and k.topic_id = g.topic_id"), ends)
    moved = session.execute(text("update topic_word set person_id = :kept where person_id = :gone returning id"),
                            ends).all()
    return {"topic_word": len(moved)} if moved else {}
