"""Table of what customers tell the shop: suggestions and complaints, filed under a number."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Feedback(Base):
    """``state``: new → read → adopted; an adoption that is taken back is read again. ``adoptions`` counts them,
    ``thanked_at`` is set once and never changes (a trigger of 0029). ``photos``: [{media_id, pic_url}] as the platform
    named them. ``outcome``: what the shop made of it, ``answer``: its latest answer; the author reads both."""

    __tablename__ = "feedback"
    __table_args__ = (
        CheckConstraint("char_length(words) between 1 and 2000", name="words"),
        CheckConstraint("state in ('new', 'read', 'adopted')", name="state"),
        CheckConstraint("(state = 'adopted') = (adopted_at is not null) and (adopted_at is null) = (adopted_by = '')"
                        " and (adopted_at is null or adoptions > 0)", name="adopted"),
        CheckConstraint("thanked_at is null or adoptions > 0", name="thanked"),
        CheckConstraint("(answers = 0) = (answered_at is null) and (answers = 0) = (answered_by = '')",
                        name="answered"),
        Index(None, "person_id", "filed_at"),
        Index(None, "state", "id"),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    words: Mapped[str]
    photos: Mapped[list[Any]] = mapped_column(server_default="[]")
    filed_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="new")
    read_at: Mapped[datetime | None]
    adoptions: Mapped[int] = mapped_column(server_default="0")
    adopted_at: Mapped[datetime | None]
    adopted_by: Mapped[str] = mapped_column(server_default="")
    outcome: Mapped[str] = mapped_column(server_default="")
    thanked_at: Mapped[datetime | None]
    answers: Mapped[int] = mapped_column(server_default="0")
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[str] = mapped_column(server_default="")
    answer: Mapped[str] = mapped_column(server_default="")
