"""Table of what somebody has coming and an operator hands over: prizes and goods for points."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Fulfilment(Base):
    """``cause``: draw:<id> or mall:<id>. ``state``: waiting → sent (``note``: carrier and number) or cancelled (why).
    """

    __tablename__ = "fulfilment"
    __table_args__ = (
        UniqueConstraint("cause"),
        CheckConstraint("state in ('waiting', 'sent', 'cancelled')", name="state"),
        CheckConstraint("(state = 'waiting') = (ended_at is null) and (state = 'waiting') = (actor = '')",
                        name="ended"),
        Index("ix_fulfilment_person_id", "person_id"),
        Index("ix_fulfilment_waiting", "id", postgresql_where=text("state = 'waiting'")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    cause: Mapped[str]
    title: Mapped[str]
    worth_fen: Mapped[int]
    asked_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="waiting")
    ended_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(server_default="")
    actor: Mapped[str] = mapped_column(server_default="")
