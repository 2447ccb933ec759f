"""精选: a word that everybody may read; its author is thanked by name and gets the topic's points, once."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from domain.audit.rules import Actor
from domain.journeys import service as journeys
from domain.journeys.runs import Event
from domain.notices import broadcasts
from domain.notices import service as notices
from domain.points import service as points
from domain.points.rules import Life
from domain.shared.errors import Conflict
from domain.shared.wording import Wording
from domain.topics import queries
from domain.topics import service as topics
from domain.topics.queries import WordView
from domain.topics.rules import short

PICKED = "topic.picked"
THANKS_LIFE = timedelta(days=30)
"""How long the thanks wait for their author to write again."""
RECOGNISED = 24
"""Characters of the word by which its author recognises it."""


def pick(session: Session, number: int, wording: Wording, life: Life, actor: Actor, now: datetime) -> WordView:
    """Show a word, and reward its author if they were not rewarded for it before. Journeys hear of it.

    Raises what ``topics.service.pick`` raises.
    """
    word = topics.pick(session, number, wording, actor, now)
    topic = queries.one(session, word.topic_id)
    if not topics.thank(session, word.id, topic.points, now):
        return word
    if topic.points:
        points.give(session, word.person_id, topic.points, f"topic:{word.id}", life, now)
    about = short(word.words, RECOGNISED)
    notices.tell(session, notices.Notice(
        word.person_id, "service", f"{PICKED}:{word.id}", "topic.thanks",
        {"name": word.nickname, "title": topic.title, "about": about, "points": topic.points},
        expires_at=now + THANKS_LIFE), now)
    journeys.happened(session, [Event(PICKED, f"{PICKED}:{word.id}", word.person_id, now,
                                      {"topic": topic.id, "title": topic.title, "about": about})], now)
    return queries.word(session, word.id)


def announce(session: Session, number: int, say: Callable[..., str], segment: str, wording: Wording, actor: Actor,
             now: datetime) -> int:
    """Tell people of an open topic, as every broadcast does: as marketing, within their caps, hours and consent.
    ``say`` renders the text. Returns the broadcast's number.

    Raises NotFound("topic_unknown"), Conflict("topic_over"), and what ``broadcasts.start`` raises.
    """
    topic = queries.one(session, number)
    current = queries.current(session, now)
    if current is None or current.id != topic.id:
        raise Conflict("topic_over", number=number)
    said = say("topic.announce", title=topic.title, intro=topic.intro, points=topic.points)
    return broadcasts.start(session, topic.title, said, segment, wording, actor, now)
