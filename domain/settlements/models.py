"""Tables of settlements: closed months, what people sold in them, and what that brought them."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class MonthClose(Base):
    """A business month that is being closed, or is closed. ``month`` is its first day.

    Started, counted (``month_volume``), settled piece by piece (``month_piece``), closed: each step is kept, so a
    close that was interrupted goes on where it stopped. ``done_upto``: people up to this id were cut into pieces.
    ``plan_version``: whose ladder and team rules count.
    ``upto_journal``: what was booked up to here and happened before ``ends_at`` is in this month or an earlier one.
    ``told_upto``: people up to this id have heard what it brought them.
    """

    __tablename__ = "month_close"
    __table_args__ = (
        CheckConstraint("extract(day from month) = 1", name="month"),
        CheckConstraint("ends_at = (month + interval '1 month') at time zone 'Asia/Shanghai'", name="ends"),
        CheckConstraint("closed_at is null or (counted_at is not null and upto_journal is not null)", name="order"),
    )

    month: Mapped[date] = mapped_column(primary_key=True)
    ends_at: Mapped[datetime]
    plan_version: Mapped[int] = mapped_column(ForeignKey("commission_plan.version"))
    started_at: Mapped[datetime]
    counted_at: Mapped[datetime | None]
    done_upto: Mapped[int] = mapped_column(server_default="0")
    closed_at: Mapped[datetime | None]
    upto_journal: Mapped[int | None]
    told_upto: Mapped[int] = mapped_column(server_default="0")
    actor: Mapped[str] = mapped_column(server_default="")


class MonthPiece(Base):
    """People of a counted month who are still to be settled: those with an id above ``above``, up to ``upto``.

    A run of ids that is settled in one transaction and gone with it. All that is not gone is still to be done.
    """

    __tablename__ = "month_piece"
    __table_args__ = (CheckConstraint("above < upto", name="some"),)

    month: Mapped[date] = mapped_column(ForeignKey("month_close.month"), primary_key=True)
    above: Mapped[int] = mapped_column(primary_key=True)
    upto: Mapped[int]


class MonthVolume(Base):
    """What a person (``direct``) and those they had brought (``team``) sold in a counted month, net of returns."""

    __tablename__ = "month_volume"
    __table_args__ = (
        CheckConstraint("least(direct_fen, direct_orders, team_fen) >= 0", name="sums"),
    )

    month: Mapped[date] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    direct_fen: Mapped[int]
    direct_orders: Mapped[int]
    team_fen: Mapped[int]


class Settlement(Base):
    """One booking of a person's ladder or team money for a month: the close, or an adjustment for a late fact.

    ``target_fen`` is what ``volume_fen`` brings in all, ``change_fen`` what this booking added to the ones before.
    ``held_fen`` is what of it is pending: an adjustment downwards takes from there first.
    """

    __tablename__ = "settlement"
    __table_args__ = (
        UniqueConstraint("person_id", "month", "kind", "n"),
        CheckConstraint("kind in ('ladder', 'team')", name="kind"),
        CheckConstraint("cause in ('close', 'adjustment')", name="cause"),
        CheckConstraint("volume_fen >= 0 and target_fen >= 0 and change_fen <> 0", name="amounts"),
        CheckConstraint("held_fen between 0 and greatest(change_fen, 0)", name="held"),
        CheckConstraint("released_at is null or held_fen = 0", name="released"),
        Index("ix_settlement_release", "release_at", postgresql_where=text("held_fen > 0")),
    )

    id: Mapped[RowId]
    month: Mapped[date] = mapped_column(ForeignKey("month_close.month"))
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    kind: Mapped[str]
    n: Mapped[int]
    cause: Mapped[str]
    volume_fen: Mapped[int]
    target_fen: Mapped[int]
    change_fen: Mapped[int]
    held_fen: Mapped[int]
    plan_version: Mapped[int]
    booked_at: Mapped[datetime]
    release_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]


class Milestone(Base):
    """A fixed sum for sales. provisional → final (let go) | revoked (taken back); merged: the other person had it too.

    ``n`` counts the tries: what was revoked may be reached again. ``check_at``: when to look whether it is final.
    """

    __tablename__ = "milestone"
    __table_args__ = (
        UniqueConstraint("person_id", "key", "n"),
        CheckConstraint("key in ('first_sale', 'streak', 'team')", name="key"),
        CheckConstraint("state in ('provisional', 'final', 'revoked', 'merged')", name="state"),
        CheckConstraint("amount_fen > 0", name="amount"),
        CheckConstraint("(state = 'provisional') = (ended_at is null)", name="ended"),
        Index("uq_milestone_standing", "person_id", "key", unique=True,
              postgresql_where=text("state in ('provisional', 'final')")),
        Index("ix_milestone_check", "check_at", postgresql_where=text("state = 'provisional'")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    key: Mapped[str]
    n: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="provisional")
    amount_fen: Mapped[int]
    plan_version: Mapped[int] = mapped_column(ForeignKey("commission_plan.version"))
    reached_at: Mapped[datetime]
    check_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class MilestoneDue(Base):
    """A seller whose sales changed: to be looked at, then gone."""

    __tablename__ = "milestone_due"

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


class ServiceAct(Base):
    """Service that somebody did and an operator recorded, paid by the plan of the day. ``month``: of the cap."""

    __tablename__ = "service_act"
    __table_args__ = (
        UniqueConstraint("item", "reference"),
        CheckConstraint("amount_fen > 0 and item <> '' and reference <> ''", name="amount"),
        CheckConstraint("(revoked_at is null) = (revoke_reason = '')", name="revoked"),
        Index(None, "person_id", "month"),
        Index("ix_service_act_release", "release_at",
              postgresql_where=text("released_at is null and revoked_at is null")),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    item: Mapped[str]
    reference: Mapped[str]
    month: Mapped[date]
    happened_at: Mapped[datetime]
    amount_fen: Mapped[int]
    plan_version: Mapped[int] = mapped_column(ForeignKey("commission_plan.version"))
    operator: Mapped[str]
    recorded_at: Mapped[datetime]
    release_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(server_default="")


class SettlementLate(Base):
    """Somebody whose counted month changed: to be looked at again, then gone."""

    __tablename__ = "settlement_late"

    id: Mapped[RowId]
    month: Mapped[date]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
