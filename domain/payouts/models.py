"""Tables of paying out: who may be paid, requests, bills at the provider, the switch, and the tax tables."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId

OPEN = ("asked", "approved", "paying")
"""States of a withdrawal that hold money; a person has at most one such."""


class Payee(Base):
    """The consent of a person to the tax that is withheld: which text, and when. Name and ID number: the vault."""

    __tablename__ = "payee"
    __table_args__ = (CheckConstraint("kind in ('individual', 'business')", name="kind"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(server_default="individual")
    consent_version: Mapped[str]
    consent_digest: Mapped[str]
    consented_at: Mapped[datetime]


class Withdrawal(Base):
    """One request, or (``kind`` red_packet) a gift on its way to somebody's change, asked for by nobody: ``cause`` is
    the gift. ``state``: asked → approved → paying → paid | partly_paid | failed | expired | cancelled, or
    rejected. ``gross_fen`` is held from asking to the end; ``tax_fen`` is what is reserved of it, ``paid_…`` what was
    really paid. ``openid`` is frozen at asking. ``review`` says why a person must look ('' nobody must)."""

    __tablename__ = "withdrawal"
    __table_args__ = (
        CheckConstraint("state in ('asked', 'approved', 'paying', 'paid', 'partly_paid', 'rejected', 'failed',"
                        " 'expired', 'cancelled')", name="state"),
        CheckConstraint("gross_fen > 0 and tax_fen >= 0 and tax_fen < gross_fen", name="amounts"),
        CheckConstraint("paid_gross_fen >= 0 and paid_tax_fen between 0 and paid_gross_fen"
                        " and (paid_gross_fen > 0) = (state in ('paid', 'partly_paid'))", name="paid"),
        CheckConstraint("kind in ('withdrawal', 'red_packet')", name="kind"),
        CheckConstraint("(kind = 'red_packet') = (cause <> '')", name="cause"),
        CheckConstraint("kind = 'withdrawal' or not two_people and state <> 'partly_paid'", name="packet"),
        CheckConstraint("tax_method in ('per_month', 'cumulative', 'none', 'incidental')"
                        " and (tax_method = 'incidental') = (kind = 'red_packet')", name="tax_method"),
        CheckConstraint("(ended_at is not null) = (state not in ('asked', 'approved', 'paying'))", name="ended"),
        CheckConstraint("not two_people or state in ('asked', 'rejected', 'cancelled')"
                        " or (proposed_by <> '' and decided_by <> '' and proposed_by <> decided_by)",
                        name="two_people"),
        Index("uq_withdrawal_open", "person_id", unique=True,
              postgresql_where=text("state in ('asked', 'approved', 'paying') and kind = 'withdrawal'")),
        Index("uq_withdrawal_cause", "cause", unique=True, postgresql_where=text("cause <> ''")),
        Index("ix_withdrawal_packets", "person_id",
              postgresql_where=text("kind = 'red_packet' and ended_at is null")),
        Index(None, "person_id", "id"),
        Index("ix_withdrawal_asked", "id", postgresql_where=text("state = 'asked'")),
    )

    id: Mapped[RowId]
    no: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str] = mapped_column(server_default="withdrawal")
    cause: Mapped[str] = mapped_column(server_default="")
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"))
    account: Mapped[str]
    app_id: Mapped[str]
    openid: Mapped[str]
    remark: Mapped[str]
    gross_fen: Mapped[int]
    tax_fen: Mapped[int]
    tax_method: Mapped[str]
    plan_version: Mapped[int]
    two_people: Mapped[bool]
    review: Mapped[str] = mapped_column(server_default="")
    state: Mapped[str] = mapped_column(server_default="asked")
    reason: Mapped[str] = mapped_column(server_default="")
    proposed_by: Mapped[str] = mapped_column(server_default="")
    decided_by: Mapped[str] = mapped_column(server_default="")
    asked_at: Mapped[datetime]
    decided_at: Mapped[datetime | None]
    cancel_asked_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    paid_gross_fen: Mapped[int] = mapped_column(server_default="0")
    paid_tax_fen: Mapped[int] = mapped_column(server_default="0")


class TransferBill(Base):
    """One payment at the provider. ``amount_fen`` is what the person gets, ``share_fen`` what is held for it.

    ``act`` is the next call, due at ``due_at`` (None: final, or waits for an operator, then ``fault`` says why).
    ``in_doubt``: a call went out whose end nobody knows. ``gross_fen``/``tax_fen`` are fixed when it is paid.
    """

    __tablename__ = "transfer_bill"
    __table_args__ = (
        UniqueConstraint("withdrawal_id", "n"),
        CheckConstraint("out_bill_no ~ '^[A-Za-z0-9]{1,32}$'", name="number"),
        CheckConstraint("amount_fen > 0 and share_fen >= amount_fen", name="amounts"),
        CheckConstraint("state in ('made', 'ACCEPTED', 'PROCESSING', 'WAIT_USER_CONFIRM', 'TRANSFERING', 'SUCCESS',"
                        " 'FAIL', 'CANCELING', 'CANCELLED', 'dropped')", name="state"),
        CheckConstraint("act in ('transfer', 'query', 'cancel')", name="act"),
        CheckConstraint("(state = 'SUCCESS') = (paid_at is not null) and case when state = 'SUCCESS' then"
                        " gross_fen = amount_fen + tax_fen and tax_fen >= 0 else gross_fen = 0 and tax_fen = 0 end",
                        name="paid"),
        CheckConstraint("state <> 'dropped' or not in_doubt", name="dropped"),
        Index("ix_transfer_bill_due", "due_at", postgresql_where=text("due_at is not null")),
        Index("ix_transfer_bill_fault", "id", postgresql_where=text("fault <> ''")),
        Index("ix_transfer_bill_open", "made_at",
              postgresql_where=text("state not in ('SUCCESS', 'FAIL', 'CANCELLED', 'dropped')")),
        Index("ix_transfer_bill_paid_at", "paid_at", postgresql_where=text("paid_at is not null")),
    )

    id: Mapped[RowId]
    withdrawal_id: Mapped[int] = mapped_column(ForeignKey("withdrawal.id"))
    n: Mapped[int]
    out_bill_no: Mapped[str] = mapped_column(unique=True)
    amount_fen: Mapped[int]
    share_fen: Mapped[int]
    with_name: Mapped[bool]
    state: Mapped[str] = mapped_column(server_default="made")
    act: Mapped[str] = mapped_column(server_default="transfer")
    in_doubt: Mapped[bool] = mapped_column(server_default=text("false"))
    calls: Mapped[int] = mapped_column(server_default="0")
    transfer_bill_no: Mapped[str] = mapped_column(server_default="")
    package_info: Mapped[str] = mapped_column(server_default="")
    fail_reason: Mapped[str] = mapped_column(server_default="")
    fault: Mapped[str] = mapped_column(server_default="")
    made_at: Mapped[datetime]
    first_called_at: Mapped[datetime | None]
    called_at: Mapped[datetime | None]
    state_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    paid_at: Mapped[datetime | None]
    gross_fen: Mapped[int] = mapped_column(server_default="0")
    tax_fen: Mapped[int] = mapped_column(server_default="0")


class PayoutSwitch(Base):
    """One row: whether money may leave. Looking (queries, settling what was paid) goes on while it is stopped."""

    __tablename__ = "payout_switch"
    __table_args__ = (
        CheckConstraint("id = 1", name="one"),
        CheckConstraint("(stopped_at is not null) = (reason <> '')", name="reason"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    stopped_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(server_default="")
    changed_by: Mapped[str] = mapped_column(server_default="")


class TaxTable(Base):
    """A table of the law, counting from ``since`` on; never changed, only followed by another."""

    __tablename__ = "tax_table"
    __table_args__ = (CheckConstraint("method in ('per_month', 'cumulative')", name="method"),)

    method: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[date] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any]]
