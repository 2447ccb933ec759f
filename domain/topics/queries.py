"""Reading topics and what was said to them."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.shared.errors import NotFound
from domain.shared.records import record

STATES = ("new", "picked", "passed")
BIGGEST = 2**63 - 1


@record
class TopicView:
    """``people``: how many said something and did not take it back;
    ``picked`` and ``waiting`` (for the reviewer): how many words of theirs."""

    id: int
    title: str
    intro: str
    points: int
    opened_at: datetime
    opened_by: str
    ends_at: datetime | None
    closed_at: datetime | None
    closed_by: str
    people: int
    picked: int
    waiting: int


@record
class WordView:
    """What one person said. ``thanked_at`` and ``points``: the one reward, if it came."""

    id: int
    topic_id: int
    person_id: int
    nickname: str
    words: str
    said_at: datetime
    changes: int
    state: str
    judged_at: datetime | None
    judged_by: str
    thanked_at: datetime | None
    points: int


_TOPIC = """
    select t.id, t.title, t.intro, t.points, t.opened_at, t.opened_by, t.ends_at, t.closed_at, t.closed_by, w.*
      from topic t cross join lateral (
        select count(*) filter (where judged_by <> 'author') as people,
               count(*) filter (where state = 'picked') as picked,
               count(*) filter (where state = 'new') as waiting
          from topic_word w where w.topic_id = t.id) w"""
_WORD = """
    select w.id, w.topic_id, w.person_id, p.nickname, w.words, w.said_at, w.changes, w.state, w.judged_at, w.judged_by,
           w.thanked_at, w.points
      from topic_word w join person p on p.id = w.person_id"""
_OPEN = "t.closed_at is null and (t.ends_at is null or t.ends_at > :now)"


def one(session: Session, number: int, *, lock: bool = False) -> TopicView:
    """Raises NotFound("topic_unknown")."""
    found = _topics(session, f"where t.id = :id {'for update of t' if lock else ''}", id=min(number, BIGGEST))
    if not found:
        raise NotFound("topic_unknown", number=number)
    return found[0]


def current(session: Session, now: datetime) -> TopicView | None:
    """The one that is open."""
    return next(iter(_topics(session, f"where {_OPEN}", now=now)), None)


def latest(session: Session) -> TopicView | None:
    """The newest, open or over."""
    return next(iter(listed(session, 1)), None)


def listed(session: Session, limit: int = 100) -> list[TopicView]:
    """The newest first."""
    return _topics(session, "order by t.id desc limit :limit", limit=limit)


def _topics(session: Session, which: str, **asked: object) -> list[TopicView]:
    return [TopicView(**row._mapping) for row in session.execute(text(f"{_TOPIC} {which}"), asked)]


def word(session: Session, number: int, *, lock: bool = False) -> WordView:
    """Raises NotFound("topic_word_unknown")."""
    found = _words(session, f"where w.id = :id {'for update of w' if lock else ''}", id=min(number, BIGGEST))
    if not found:
        raise NotFound("topic_word_unknown", number=number)
    return found[0]


def own(session: Session, topic_id: int, person_id: int) -> WordView | None:
    """What this person says to the topic."""
    return next(iter(_words(session, "where w.topic_id = :topic and w.person_id = :person", topic=topic_id,
                            person=person_id)), None)


def words(session: Session, topic_id: int, state: str = "", limit: int = 200) -> list[WordView]:
    """What was said to a topic, the newest first; of one state, or all."""
    return _words(session, "where w.topic_id = :topic and (:state = '' or w.state = :state)"
                           " order by coalesce(w.judged_at, w.said_at) desc, w.id desc limit :limit",
                  topic=topic_id, state=state, limit=limit)


def shown(session: Session, topic_id: int, limit: int) -> list[WordView]:
    """Picked words for everybody to read, the newest first; none of somebody who is about to be erased."""
    return _words(session, """where w.topic_id = :topic and w.state = 'picked' and not exists (
                                select from erasure e where e.person_id = w.person_id and e.state = 'waiting')
                             order by w.judged_at desc, w.id desc limit :limit""", topic=topic_id, limit=limit)


def leaving(session: Session, person_id: int) -> bool:
    """Whether somebody's erasure waits: their words are shown to nobody."""
    return bool(session.scalar(text("select exists (select from erasure where person_id = :person"
                                    " and state = 'waiting')"), {"person": person_id}))


def _words(session: Session, which: str, **asked: object) -> list[WordView]:
    return [WordView(**row._mapping) for row in session.execute(text(f"{_WORD} {which}"), asked)]
