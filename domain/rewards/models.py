"""Tables of rewards: coupons, and uses that were given back."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Coupon(Base):
    """A coupon of one person for an order of at least ``min_spend_fen``, used once: ``off_fen`` off, or ``pay_bps`` of
    the price to be paid (at most ``max_off_fen`` off, 0: no limit).

    ``key`` names the business fact it was issued for, so that a fact issues once. ``once``: one of this kind a
    person, ever. ``state``: issued → used | expired | revoked (with reason); a used one can come back to issued.
    """

    __tablename__ = "coupon"
    __table_args__ = (
        CheckConstraint("state in ('issued', 'used', 'expired', 'revoked')", name="state"),
        CheckConstraint("off_fen >= 0 and min_spend_fen >= 0 and max_off_fen >= 0 and pay_bps between 1 and 10000"
                        " and (off_fen > 0) <> (pay_bps < 10000)", name="money"),
        CheckConstraint("valid_from < valid_until", name="times"),
        CheckConstraint(
            "(state = 'used') = (used_at is not null) and (state = 'used') = (used_order <> '')", name="used"
        ),
        CheckConstraint("(state = 'revoked') = (reason <> '')", name="revoked"),
        UniqueConstraint("code"),
        UniqueConstraint("key"),
        Index(None, "person_id", "id"),
        Index("uq_coupon_once", "person_id", "kind", unique=True, postgresql_where=text("once")),
        Index("ix_coupon_expiring", "valid_until", postgresql_where=text("state = 'issued'")),
        Index("ix_coupon_used", "used_channel", "used_order", postgresql_where=text("state = 'used'")),
    )

    id: Mapped[RowId]
    code: Mapped[str]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    key: Mapped[str]
    kind: Mapped[str]
    once: Mapped[bool]
    title: Mapped[str]
    off_fen: Mapped[int]
    pay_bps: Mapped[int] = mapped_column(server_default="10000")
    max_off_fen: Mapped[int] = mapped_column(server_default="0")
    min_spend_fen: Mapped[int]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="issued")
    reason: Mapped[str] = mapped_column(server_default="")
    used_channel: Mapped[str] = mapped_column(server_default="")
    used_order: Mapped[str] = mapped_column(server_default="")
    used_at: Mapped[datetime | None]


class CouponReturn(Base):
    """A use that was given back with its order; the same order never takes the coupon a second time."""

    __tablename__ = "coupon_return"

    coupon_id: Mapped[int] = mapped_column(ForeignKey("coupon.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    order_no: Mapped[str] = mapped_column(primary_key=True)
    used_at: Mapped[datetime]
    returned_at: Mapped[datetime]
