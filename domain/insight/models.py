"""Tables of insight: tags and segments as they are now, how tags changed, and whose are out of date."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class PersonInsight(Base):
    """Somebody's segment and RFM scores. ``look_again_at``: when time alone may change them."""

    __tablename__ = "person_insight"
    __table_args__ = (
        CheckConstraint("recency between 1 and 5 and frequency between 1 and 5 and money between 1 and 5",
                        name="scores"),
        Index(None, "segment", "person_id"),
        Index(None, "look_again_at", postgresql_where=text("look_again_at is not null")),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    segment: Mapped[str] = mapped_column(server_default="")
    segment_since: Mapped[datetime]
    recency: Mapped[int]
    frequency: Mapped[int]
    money: Mapped[int]
    orders: Mapped[int]
    spent_fen: Mapped[int]
    last_paid_at: Mapped[datetime | None]
    computed_at: Mapped[datetime]
    look_again_at: Mapped[datetime | None]


class PersonTag(Base):
    """A tag that somebody has. ``source``: rule (the rules keep it) or journey, operator, arrival."""

    __tablename__ = "person_tag"
    __table_args__ = (
        CheckConstraint("source in ('rule', 'journey', 'operator', 'arrival')", name="source"),
        Index(None, "tag", "person_id"),
    )

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    tag: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str]
    since: Mapped[datetime]


class TagChange(Base):
    """A tag came or went."""

    __tablename__ = "tag_change"
    __table_args__ = (Index(None, "person_id", "id"),)

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    tag: Mapped[str]
    added: Mapped[bool]
    source: Mapped[str]
    at: Mapped[datetime]


class Stale(Base):
    """A mark that somebody's orders or referrals have changed since they were judged. ``marked_at`` is real time."""

    __tablename__ = "insight_stale"

    id: Mapped[RowId]
    person_id: Mapped[int]
    marked_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))


class Rebuild(Base):
    """One judging of many people: how many, and how long it took in real time."""

    __tablename__ = "insight_rebuild"

    id: Mapped[RowId]
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime]
    people: Mapped[int]
    milliseconds: Mapped[int]
