"""Tables of points: lots with a life of their own, what happened to them, spendings, and check-ins."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class PointLot(Base):
    """Points earned together. pending (``remaining`` 0) → active → closed; only ``points_apply`` (0017) changes it.

    ``cause`` names the business fact, once ever. ``reversed``: what returns have taken back of it so far.
    """

    __tablename__ = "point_lot"
    __table_args__ = (
        CheckConstraint("amount > 0 and remaining between 0 and amount and reversed between 0 and amount",
                        name="amount"),
        CheckConstraint("state in ('pending', 'active', 'closed')", name="state"),
        CheckConstraint("state <> 'closed' or remaining = 0", name="closed"),
        CheckConstraint("earned_at <= active_at and active_at < expires_at", name="times"),
        UniqueConstraint("cause"),
        Index("ix_point_lot_person_id", "person_id", "expires_at", postgresql_where=text("state <> 'closed'")),
        Index("ix_point_lot_pending", "active_at", postgresql_where=text("state = 'pending'")),
        Index("ix_point_lot_expiring", "expires_at", postgresql_where=text("state = 'active'")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    cause: Mapped[str]
    amount: Mapped[int]
    remaining: Mapped[int]
    reversed: Mapped[int] = mapped_column(server_default="0")
    state: Mapped[str]
    earned_at: Mapped[datetime]
    active_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class PointMove(Base):
    """One change of one lot. A fact (``idem``) changes a lot once."""

    __tablename__ = "point_move"
    __table_args__ = (
        UniqueConstraint("idem", "lot_id"),
        CheckConstraint("kind in ('activate', 'repay', 'spend', 'undo', 'expire', 'reverse', 'take')", name="kind"),
        CheckConstraint("delta <> 0", name="delta"),
        Index(None, "lot_id", "id"),
    )

    id: Mapped[RowId]
    lot_id: Mapped[int] = mapped_column(ForeignKey("point_lot.id"))
    kind: Mapped[str]
    delta: Mapped[int]
    idem: Mapped[str]
    at: Mapped[datetime]


class PointTaking(Base):
    """Points of a lot that two operators took back; ``owed`` of them were spent before. Append-only; the database
    refuses what no approval says, and more than is taken back of the lot."""

    __tablename__ = "point_taking"
    __table_args__ = (CheckConstraint("points > 0 and owed between 0 and points", name="points"), Index(None, "lot_id"))

    approval_id: Mapped[int] = mapped_column(ForeignKey("approval.id"), primary_key=True, autoincrement=False)
    lot_id: Mapped[int] = mapped_column(ForeignKey("point_lot.id"))
    points: Mapped[int]
    owed: Mapped[int]
    at: Mapped[datetime]


class PointSpending(Base):
    """Points given for something; ``undone``: how many of them came back."""

    __tablename__ = "point_spending"
    __table_args__ = (CheckConstraint("amount > 0 and undone between 0 and amount", name="amount"),
                      Index(None, "person_id"))

    idem: Mapped[str] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    amount: Mapped[int]
    undone: Mapped[int] = mapped_column(server_default="0")
    what: Mapped[str]
    at: Mapped[datetime]


class CheckIn(Base):
    """A day on which somebody checked in. ``bridged``: the day before was missed and the month's token covered it."""

    __tablename__ = "check_in"
    __table_args__ = (CheckConstraint("streak > 0 and points >= 0", name="streak"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, autoincrement=False)
    day: Mapped[date] = mapped_column(primary_key=True)
    streak: Mapped[int]
    points: Mapped[int]
    bridged: Mapped[bool] = mapped_column(server_default=text("false"))
    at: Mapped[datetime]
