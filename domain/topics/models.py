"""Tables of topics: what the shop asks everybody, and one word of each who answers."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Topic(Base):
    """One topic. At most one is open at a time. ``points``: what a picked word earns its author, 0 for nothing.
    ``ends_at`` None: until somebody closes it."""

    __tablename__ = "topic"
    __table_args__ = (
        CheckConstraint("char_length(title) between 2 and 60", name="title"),
        CheckConstraint("char_length(intro) <= 200", name="intro"),
        CheckConstraint("points between 0 and 500", name="points"),
        CheckConstraint("ends_at is null or ends_at > opened_at", name="ends"),
        CheckConstraint("(closed_at is null) = (closed_by = '')", name="closed"),
        Index("ix_topic_open", text("(true)"), unique=True, postgresql_where=text("closed_at is null")),
    )

    id: Mapped[RowId]
    title: Mapped[str]
    intro: Mapped[str] = mapped_column(server_default="")
    points: Mapped[int]
    opened_at: Mapped[datetime]
    opened_by: Mapped[str]
    ends_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str] = mapped_column(server_default="")


class TopicWord(Base):
    """What one person says to one topic. ``state``: new → picked (everybody reads it) or passed; words that replace
    others are new again. ``thanked_at`` and ``points``: the one reward of this row, set once (a trigger of 0034)."""

    __tablename__ = "topic_word"
    __table_args__ = (
        UniqueConstraint("topic_id", "person_id"),
        CheckConstraint("char_length(words) between 1 and 500", name="words"),
        CheckConstraint("changes >= 0", name="changes"),
        CheckConstraint("state in ('new', 'picked', 'passed')", name="state"),
        CheckConstraint("(state = 'new') = (judged_at is null) and (judged_at is null) = (judged_by = '')",
                        name="judged"),
        CheckConstraint("points >= 0 and (points = 0 or thanked_at is not null)", name="points"),
        Index(None, "topic_id", "state", "judged_at"),
        Index(None, "person_id"),
    )

    id: Mapped[RowId]
    topic_id: Mapped[int] = mapped_column(ForeignKey("topic.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    words: Mapped[str]
    said_at: Mapped[datetime]
    changes: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str] = mapped_column(server_default="new")
    judged_at: Mapped[datetime | None]
    judged_by: Mapped[str] = mapped_column(server_default="")
    thanked_at: Mapped[datetime | None]
    points: Mapped[int] = mapped_column(server_default="0")
