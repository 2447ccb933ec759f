"""Tables of what the payment channel told us. None holds personal data: bills are named by their numbers.

``pay_certificate`` and ``fetched_at`` live by real time, everything else by business time.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class PayCertificate(Base):
    """A certificate that the platform signs with, as one process fetched it for all."""

    __tablename__ = "pay_certificate"
    __table_args__ = (CheckConstraint("valid_from < valid_until", name="validity"),)

    mch_id: Mapped[str] = mapped_column(primary_key=True)
    serial: Mapped[str] = mapped_column(primary_key=True)
    pem: Mapped[str]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    fetched_at: Mapped[datetime]


class PayNotification(Base):
    """A notification that was truly signed: applied, refused (with reason) or quarantined. ``times`` counts repeats."""

    __tablename__ = "pay_notification"
    __table_args__ = (
        CheckConstraint("state in ('applied', 'refused', 'quarantined')", name="state"),
        CheckConstraint("state = 'applied' or reason <> ''", name="reason"),
        Index(None, "received_at"),
    )

    account: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str]
    out_bill_no: Mapped[str] = mapped_column(server_default="")
    bill_state: Mapped[str] = mapped_column(server_default="")
    reason: Mapped[str] = mapped_column(server_default="")
    times: Mapped[int] = mapped_column(server_default="1")
    received_at: Mapped[datetime]
    last_at: Mapped[datetime]


class FundLine(Base):
    """A line of the fund bill (资金账单): money that really moved. Append-only; a trigger refuses every change."""

    __tablename__ = "fund_line"
    __table_args__ = (
        CheckConstraint("amount_fen > 0", name="amount"),
        Index(None, "account", "day"),
        Index(None, "account", "voucher_no"),
    )

    account: Mapped[str] = mapped_column(primary_key=True)
    flow_no: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date]
    at: Mapped[datetime]
    business_no: Mapped[str]
    voucher_no: Mapped[str]
    business: Mapped[str]
    kind: Mapped[str]
    income: Mapped[bool]
    amount_fen: Mapped[int]
    balance_fen: Mapped[int]


class FundDay(Base):
    """A day whose fund bill was read and compared; compared again, it tells of the last time."""

    __tablename__ = "fund_day"
    __table_args__ = (
        CheckConstraint("lines >= 0 and income_fen >= 0 and outgo_fen >= 0 and open_incidents >= 0", name="sums"),
    )

    account: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    lines: Mapped[int]
    income_fen: Mapped[int]
    outgo_fen: Mapped[int]
    open_incidents: Mapped[int]
    fetched_at: Mapped[datetime]


class PayIncident(Base):
    """Something in which the channel and our books differ. While one is open, nothing is paid out of its account."""

    __tablename__ = "pay_incident"
    __table_args__ = (
        CheckConstraint(
            "kind in ('line_without_bill', 'success_without_line', 'amount_differs', 'money_not_returned', "
            "'paid_twice', 'bill_contradicted', 'clearing_differs')", name="kind"),
        CheckConstraint("(closed_at is null) = (closed_by = '')", name="closed"),
        CheckConstraint("closed_at is null or length(explanation) between 4 and 500", name="explained"),
        Index("uq_pay_incident_open", "account", "kind", "subject", unique=True,
              postgresql_where=text("closed_at is null")),
    )

    id: Mapped[RowId]
    account: Mapped[str]
    kind: Mapped[str]
    subject: Mapped[str]
    day: Mapped[date | None]
    ours_fen: Mapped[int | None]
    theirs_fen: Mapped[int | None]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    explanation: Mapped[str] = mapped_column(server_default="")
    closed_by: Mapped[str] = mapped_column(server_default="")
