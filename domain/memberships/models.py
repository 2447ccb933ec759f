"""Table of paid membership: the cards that somebody bought or was given."""

from datetime import datetime

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class MemberCard(Base):
    """A card for ``days``, of which refunds have left ``kept_days``; it counts from ``starts_at`` until ``ends_at``.

    ``cause``: order:<order id>:<line> or grant:<code> (with actor and reason). ``cut_at``: taken away by an operator.
    Cards of one person never overlap: an exclusion constraint (0025) judges at commit. Terms are those of the day it
    was bought.
    """

    __tablename__ = "member_card"
    __table_args__ = (
        UniqueConstraint("cause"),
        CheckConstraint("days > 0 and kept_days between 0 and days", name="days"),
        CheckConstraint("bought_at <= starts_at and starts_at <= ends_at", name="times"),
        CheckConstraint("cut_at is null or reason <> ''", name="cut"),
        CheckConstraint("order_id is not null or (actor <> '' and reason <> '')", name="given"),
        CheckConstraint("turn >= 0", name="turn"),
        Index("ix_member_card_person_id", "person_id", "ends_at"),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    cause: Mapped[str]
    order_id: Mapped[int | None] = mapped_column(ForeignKey("customer_order.id"))
    card: Mapped[str]
    tier: Mapped[str]
    title: Mapped[str]
    benefits: Mapped[list[str]] = mapped_column(ARRAY(Text))
    days: Mapped[int]
    kept_days: Mapped[int]
    bought_at: Mapped[datetime]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    cut_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(server_default="")
    actor: Mapped[str] = mapped_column(server_default="")
    turn: Mapped[int] = mapped_column(server_default="0")
