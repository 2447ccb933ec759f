"""Tables of risk: what was told of payments, who is to be looked at, and the cases with their lines and history.

Decided cases, the lines in question and the history never change; triggers of the migration see to it.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId

_WAITING = text("state in ('open', 'appealed')")


class RiskQueue(Base):
    """Orders that were not looked at yet; a trigger adds each in the transaction that books it."""

    __tablename__ = "risk_queue"

    order_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class RiskWatch(Base):
    """People whose customers bought, or sent back, something since the last sweep; the same one many times."""

    __tablename__ = "risk_watch"

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))


class RiskSignal(Base):
    """How an order was paid, from which device, to which address: keyed hashes, equal when the things are."""

    __tablename__ = "risk_signal"
    __table_args__ = (
        CheckConstraint("kind in ('payer', 'device', 'address')", name="kind"),
        CheckConstraint("hash ~ '^[0-9a-f]{64}$'", name="hash"),
        Index(None, "kind", "hash", "at"),
    )

    order_id: Mapped[int] = mapped_column(ForeignKey("customer_order.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    hash: Mapped[str]
    at: Mapped[datetime]


class RiskCase(Base):
    """A suspicion against ``person_id`` by ``rule`` about ``object``; one is open at a time.

    ``effect``: hold (their commission in question waits) or note (only a reviewer is told). ``state``: open → appealed
    → released | confiscated. ``evidence``: {orders: [ids], people: [ids]}. ``answer_due_at``: promised to who appealed.
    """

    __tablename__ = "risk_case"
    __table_args__ = (
        CheckConstraint("rule <> '' and opened_by <> ''", name="rule"),
        CheckConstraint("effect in ('hold', 'note')", name="effect"),
        CheckConstraint("severity between 1 and 100", name="severity"),
        CheckConstraint("state in ('open', 'appealed', 'released', 'confiscated')", name="state"),
        CheckConstraint(
            "(appealed_at is null) = (answer_due_at is null) and (state <> 'appealed' or appealed_at is not null)",
            name="appealed",
        ),
        CheckConstraint(
            "(state in ('released', 'confiscated')) = (decided_at is not null)"
            " and (decided_at is not null) = (decided_by <> '')", name="decided",
        ),
        Index("uq_risk_case_open", "person_id", "rule", "object", unique=True, postgresql_where=_WAITING),
        Index(None, "person_id", "id"),
        Index("ix_risk_case_waiting", "severity", "opened_at", postgresql_where=_WAITING),
    )

    id: Mapped[RowId]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    rule: Mapped[str]
    object: Mapped[str] = mapped_column(server_default="")
    effect: Mapped[str]
    severity: Mapped[int]
    state: Mapped[str] = mapped_column(server_default="open")
    evidence: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    opened_by: Mapped[str]
    opened_at: Mapped[datetime]
    appealed_at: Mapped[datetime | None]
    answer_due_at: Mapped[datetime | None]
    decided_by: Mapped[str] = mapped_column(server_default="")
    decided_at: Mapped[datetime | None]


class RiskLine(Base):
    """A commission line in question."""

    __tablename__ = "risk_line"
    __table_args__ = (Index(None, "line_id"),)

    case_id: Mapped[int] = mapped_column(ForeignKey("risk_case.id"), primary_key=True)
    line_id: Mapped[int] = mapped_column(ForeignKey("commission_line.id"), primary_key=True)


class RiskStep(Base):
    """One step of a case: who did what, in which words."""

    __tablename__ = "risk_step"
    __table_args__ = (
        CheckConstraint(
            "what in ('opened', 'evidence', 'appealed', 'released', 'confiscated', 'merged')", name="what"
        ),
        CheckConstraint("actor <> ''", name="actor"),
        Index(None, "case_id", "id"),
    )

    id: Mapped[RowId]
    case_id: Mapped[int] = mapped_column(ForeignKey("risk_case.id"))
    at: Mapped[datetime]
    actor: Mapped[str]
    what: Mapped[str]
    words: Mapped[str] = mapped_column(server_default="")
    facts: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
