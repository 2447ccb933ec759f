"""Tables of rewards: coupons, uses that were given back, what orders opened, and memberships."""

from datetime import datetime

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
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


class Reward(Base):
    """What the orders of ``buyer_id`` opened for ``person_id`` (themselves, or who had brought them).

    ``state``: provisional → final, or revoked (with reason) by a return, and provisional again by a later order, under
    the next ``turn``. ``needed`` kept orders carry it, the last of them within ``within_days`` of the first.
    """

    __tablename__ = "reward"
    __table_args__ = (
        UniqueConstraint("ladder", "rung", "buyer_id"),
        CheckConstraint("what in ('red_packet', 'points', 'coupon', 'tier')", name="what"),
        CheckConstraint("amount >= 0 and (amount > 0) = (what in ('red_packet', 'points'))", name="amount"),
        CheckConstraint("needed >= 2 and within_days > 0", name="needed"),
        CheckConstraint("state in ('provisional', 'final', 'revoked')", name="state"),
        CheckConstraint("(state = 'revoked') = (reason <> '')", name="reason"),
        CheckConstraint("state <> 'final' or final_at is not null", name="final"),
        CheckConstraint("turn >= 0", name="turn"),
        Index(None, "person_id", "id"),
        Index("ix_reward_buyer_id", "buyer_id"),
        Index("ix_reward_due", "final_at", postgresql_where=text("state = 'provisional'")),
    )

    id: Mapped[RowId]
    ladder: Mapped[str]
    rung: Mapped[str]
    buyer_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    what: Mapped[str]
    amount: Mapped[int]
    detail: Mapped[str]
    title: Mapped[str]
    benefits: Mapped[list[str]] = mapped_column(ARRAY(Text))
    needed: Mapped[int]
    within_days: Mapped[int | None]
    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"))
    since: Mapped[datetime]
    final_at: Mapped[datetime | None]
    state: Mapped[str]
    reason: Mapped[str] = mapped_column(server_default="")
    turn: Mapped[int] = mapped_column(server_default="0")
    changed_at: Mapped[datetime]


class GiftTaking(Base):
    """A red packet that two operators take back: ``journal_id`` gave it. calling (a packet that carries it is called
    back) → taken, or left (``why``). ``owe``: what they had received already becomes a debt; ``owed_fen``: what did.

    Once for each gift, all of it; the database refuses what no approval says and what no journal has taken back.
    """

    __tablename__ = "gift_taking"
    __table_args__ = (
        CheckConstraint("fen > 0 and owed_fen between 0 and fen and (owed_fen = 0 or state = 'taken')", name="money"),
        CheckConstraint("state in ('calling', 'taken', 'left')", name="state"),
        CheckConstraint("(state = 'calling') = (ended_at is null)", name="ended"),
        CheckConstraint("(state = 'left') = (why <> '')", name="why"),
        Index("uq_gift_taking_journal_id", "journal_id", unique=True, postgresql_where=text("state <> 'left'")),
        Index("ix_gift_taking_calling", "approval_id", postgresql_where=text("state = 'calling'")),
    )

    approval_id: Mapped[int] = mapped_column(ForeignKey("approval.id"), primary_key=True, autoincrement=False)
    journal_id: Mapped[int] = mapped_column(ForeignKey("journal.id"))
    fen: Mapped[int]
    owe: Mapped[bool]
    state: Mapped[str] = mapped_column(server_default="calling")
    why: Mapped[str] = mapped_column(server_default="")
    owed_fen: Mapped[int] = mapped_column(server_default="0")
    at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class Membership(Base):
    """A tier held from ``since`` until ``until`` (None: still), with its benefits; ``cause`` names what gave it."""

    __tablename__ = "membership"
    __table_args__ = (
        UniqueConstraint("cause"),
        CheckConstraint("until >= since", name="times"),
        Index("ix_membership_person_id", "person_id", postgresql_where=text("until is null")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    tier: Mapped[str]
    benefits: Mapped[list[str]] = mapped_column(ARRAY(Text))
    cause: Mapped[str]
    since: Mapped[datetime]
    until: Mapped[datetime | None]


class ProgrammeStale(Base):
    """Somebody whose orders changed since they were counted; with ``fault``: who could not be counted, not before
    ``look_at`` again."""

    __tablename__ = "programme_stale"
    __table_args__ = (Index("ix_programme_stale_parked", "person_id", postgresql_where=text("look_at is not null")),)

    id: Mapped[RowId]
    person_id: Mapped[int]
    fault: Mapped[str] = mapped_column(server_default="")
    look_at: Mapped[datetime | None]
