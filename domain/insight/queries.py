"""Tags and segments for pages, the API and whoever chooses people by them."""

from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from domain.insight.models import PersonInsight, PersonTag, Rebuild
from domain.shared.records import record


@record
class Standing:
    """Somebody's tags and segment; segment '' and scores 0 for somebody who was not judged yet."""

    tags: tuple[str, ...]
    segment: str
    r: int
    f: int
    m: int


@record
class SegmentSize:
    key: str
    people: int
    spent_fen: int


@record
class Health:
    """How current everything is: people waiting to be judged, since when, and what judging took last (real time)."""

    waiting: int
    oldest: datetime | None
    last_people: int
    last_milliseconds: int


def of(session: Session, person_id: int) -> Standing:
    """The standing of one person."""
    tags = tuple(session.scalars(select(PersonTag.tag).where(PersonTag.person_id == person_id).order_by(PersonTag.tag)))
    row = session.get(PersonInsight, person_id)
    return Standing(tags, row.segment, row.recency, row.frequency, row.money) if row else Standing(tags, "", 0, 0, 0)


def sizes(session: Session) -> list[SegmentSize]:
    """Every segment with people in it, largest first."""
    rows = session.execute(
        select(PersonInsight.segment, func.count(), func.coalesce(func.sum(PersonInsight.spent_fen), 0))
        .group_by(PersonInsight.segment).order_by(func.count().desc(), PersonInsight.segment))
    return [SegmentSize(key, people, int(spent)) for key, people, spent in rows]


def tag_sizes(session: Session) -> dict[str, int]:
    """How many people have each tag."""
    rows = session.execute(select(PersonTag.tag, func.count()).group_by(PersonTag.tag).order_by(PersonTag.tag))
    return {row[0]: row[1] for row in rows}


def health(session: Session) -> Health:
    """Whether anybody waits, and how long judging took."""
    waiting, oldest = session.execute(text(
        "select count(distinct person_id), min(marked_at) from (select person_id, marked_at from insight_stale"
        " union all select o.buyer_id, told_at from order_news join customer_order o on o.id = any (order_ids)) waiting"
    )).one()
    last = session.scalar(select(Rebuild).order_by(Rebuild.id.desc()).limit(1))
    return Health(waiting, oldest, last.people if last else 0, last.milliseconds if last else 0)


def judged_at(session: Session, at: datetime) -> tuple[int, int]:
    """Of everything that was judged as of this moment (a rebuild does all its pieces as of one): people, and
    milliseconds of real time."""
    people, milliseconds = session.execute(
        select(func.coalesce(func.sum(Rebuild.people), 0), func.coalesce(func.sum(Rebuild.milliseconds), 0))
        .where(Rebuild.started_at == at)).one()
    return int(people), int(milliseconds)
