"""Tables of commissions: immutable plan versions, and the deal lines that were frozen at payment."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class CommissionPlan(Base):
    """One published version of the shop's rules, live from ``live_from`` until a later version is. Never changed.

    ``approval_id``: the two people who agreed to it; None for the version a shop starts with. ``reverts``: the older
    version that it says again.
    """

    __tablename__ = "commission_plan"
    __table_args__ = (
        CheckConstraint("version > 0", name="version"),
        CheckConstraint("live_from >= published_at", name="future"),
        CheckConstraint("reverts < version", name="reverts"),
        Index("ix_commission_plan_milestones", "version", postgresql_where=text("document ? 'milestones'")),
    )

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]
    digest: Mapped[str]
    live_from: Mapped[datetime]
    actor: Mapped[str] = mapped_column(server_default="")
    published_at: Mapped[datetime] = mapped_column(server_default=text("'epoch'"))
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("approval.id"), unique=True)
    reverts: Mapped[int | None] = mapped_column(ForeignKey("commission_plan.version"))


class PlanDraft(Base):
    """A plan in the making. ``revision`` counts the changes; ``effective_on`` None: as soon as it is agreed.

    ``based_on``: the newest version when it was written or submitted. What was submitted does not change any more.
    """

    __tablename__ = "plan_draft"
    __table_args__ = (
        CheckConstraint("state in ('draft', 'submitted', 'published', 'withdrawn')", name="state"),
        CheckConstraint("(state in ('submitted', 'published')) <= (approval_id is not null)", name="submitted"),
        CheckConstraint("(state = 'published') = (version is not null)", name="published"),
        CheckConstraint("jsonb_typeof(document) = 'object'", name="document"),
        CheckConstraint("revision > 0", name="revision"),
        Index("ix_plan_draft_state", "state", "id"),
    )

    id: Mapped[RowId]
    name: Mapped[str]
    document: Mapped[dict[str, Any]]
    effective_on: Mapped[date | None]
    note: Mapped[str] = mapped_column(server_default="")
    based_on: Mapped[int | None] = mapped_column(ForeignKey("commission_plan.version"))
    revision: Mapped[int] = mapped_column(server_default="1")
    state: Mapped[str] = mapped_column(server_default="draft")
    author: Mapped[str] = mapped_column(ForeignKey("operator.name"))
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("approval.id"), unique=True)
    version: Mapped[int | None] = mapped_column(ForeignKey("commission_plan.version"), unique=True)
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class PlanLimit(Base):
    """How far down plans may pay from ``since`` on: the newest row counts, without one it is one level and no team.

    More than that names the approval (``plan.levels``) that says so; the database refuses it otherwise.
    """

    __tablename__ = "plan_limit"
    __table_args__ = (
        CheckConstraint("max_levels between 1 and 3", name="levels"),
        CheckConstraint("(max_levels = 1 and not team_pay) or approval_id is not null", name="agreed"),
    )

    id: Mapped[RowId]
    max_levels: Mapped[int]
    team_pay: Mapped[bool]
    since: Mapped[datetime]
    operator: Mapped[str]
    approval_id: Mapped[int | None] = mapped_column(ForeignKey("approval.id"), unique=True)


class CommissionBoost(Base):
    """A person's rates times ``bps`` (12 000 = x1.2) for a time. The highest one running counts; they do not add up."""

    __tablename__ = "commission_boost"
    __table_args__ = (
        UniqueConstraint("person_id", "cause"),
        CheckConstraint("bps between 10001 and 100000", name="bps"),
        CheckConstraint("ends_at >= starts_at", name="times"),
        CheckConstraint("cause <> ''", name="cause"),
        Index(None, "ends_at"),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    bps: Mapped[int]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    cause: Mapped[str]
    granted_at: Mapped[datetime]


class CommissionLine(Base):
    """Who earns how much from which order line, at which level, by which rule: ``base_fen`` x ``rate_bps``.

    ``rate_bps`` is the rate as applied: the rule's own ``rule_bps`` x ``phase_bps`` of the campaign's ``phase`` x the
    person's ``boost_bps``, within the plan's limits (10 000 = x1).

    ``uncut_fen`` is the amount before the cap, ``clawed_fen`` what refunds have taken back so far. ``release_at`` is
    set when the order counts as received, ``released_at`` when the money became available. While ``held_at`` is set
    the money is frozen and keeps its dates; ``hold_no`` counts the holds. What is ``confiscated_at`` is gone for good.
    """

    __tablename__ = "commission_line"
    __table_args__ = (
        ForeignKeyConstraint(["order_id", "n"], ["order_line.order_id", "order_line.n"]),
        UniqueConstraint("order_id", "n", "kind", "level"),
        CheckConstraint("level between 1 and 3", name="level"),
        CheckConstraint("rate_bps between 0 and 10000", name="rate"),
        CheckConstraint("rule_bps >= 0 and phase_bps >= 0 and boost_bps >= 10000", name="factors"),
        CheckConstraint("amount_fen > 0 and amount_fen <= uncut_fen", name="amount"),
        CheckConstraint("clawed_fen between 0 and amount_fen", name="clawed"),
        CheckConstraint("held_at is null or released_at is null", name="held"),
        CheckConstraint(
            "confiscated_at is null or (clawed_fen = amount_fen and held_at is null)", name="confiscated"
        ),
        Index("ix_commission_line_broken", "id", postgresql_where=text("refuse_row(...)")),  # keeps these rules: 0075
        Index(None, "beneficiary_id", "id"),
        Index(
            "ix_commission_line_release", "release_at",
            postgresql_where=text("released_at is null and release_at is not null and held_at is null"),
        ),
        Index("ix_commission_line_held", "beneficiary_id", postgresql_where=text("held_at is not null")),
        Index("ix_commission_line_doubt", "order_id",
              postgresql_where=text("held_at is not null or confiscated_at is not null")),
    )

    id: Mapped[RowId]
    order_id: Mapped[int]
    n: Mapped[int]
    beneficiary_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    level: Mapped[int]
    kind: Mapped[str] = mapped_column(server_default="base")
    base_fen: Mapped[int]
    rate_bps: Mapped[int]
    rule: Mapped[str]
    plan_version: Mapped[int] = mapped_column(ForeignKey("commission_plan.version"))
    uncut_fen: Mapped[int]
    amount_fen: Mapped[int]
    clawed_fen: Mapped[int] = mapped_column(server_default="0")
    accrued_at: Mapped[datetime]
    release_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    rule_bps: Mapped[int]
    phase: Mapped[str] = mapped_column(server_default="")
    phase_bps: Mapped[int] = mapped_column(server_default="10000")
    boost_bps: Mapped[int] = mapped_column(server_default="10000")
    held_at: Mapped[datetime | None]
    hold_no: Mapped[int] = mapped_column(server_default="0")
    confiscated_at: Mapped[datetime | None]


class EarnedNews(Base):
    """Orders by which somebody earned and was not yet told, those of a batch together; see ``earned.take``. ``id`` is a
    number of the outbox: what is told later of the same orders has a higher one."""

    __tablename__ = "earned_news"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, server_default=text("nextval('outbox_id_seq')"))
    order_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    at: Mapped[datetime]
