"""Tables of the operators' acts: who they are, what they did (append-only, sealed), and what needs a second person."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.shared.db import Base, RowId


class Operator(Base):
    """Somebody who runs the shop. Name and role never change; ``key_hash`` is SHA-256 of the API key, '' for none.
    ``key_by``: who saw the key before them, '' for nobody."""

    __tablename__ = "operator"
    __table_args__ = (
        CheckConstraint(r"name ~ '^[^[:space:][:cntrl:]]{1,40}$'", name="name"),
        CheckConstraint("role in ('owner', 'finance', 'reviewer', 'operator')", name="role"),
        CheckConstraint("key_hash ~ '^([0-9a-f]{64})?$'", name="key_hash"),
    )

    id: Mapped[RowId]
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    key_hash: Mapped[str] = mapped_column(server_default="")
    key_by: Mapped[str] = mapped_column(server_default="")
    added_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class AuditEvent(Base):
    """One act. ``at`` is business time, ``written_at`` the database's own; triggers refuse every change."""

    __tablename__ = "audit_event"
    __table_args__ = (
        CheckConstraint("operator <> '' and role <> '' and act <> ''", name="named"),
        CheckConstraint("jsonb_typeof(detail) = 'object'", name="detail"),
        Index(None, "subject", "id"),
    )

    id: Mapped[RowId]
    at: Mapped[datetime]
    written_at: Mapped[datetime] = mapped_column(server_default=text("clock_timestamp()"))
    operator: Mapped[str]
    role: Mapped[str]
    act: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))


class AuditSeal(Base):
    """The seal of one row: a link of the hash chain, and its mac under a key that the database does not hold."""

    __tablename__ = "audit_seal"
    __table_args__ = (CheckConstraint("octet_length(digest) = 32 and octet_length(mac) = 32", name="length"),)

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    digest: Mapped[bytes] = mapped_column(unique=True)
    mac: Mapped[bytes]
    sealed_at: Mapped[datetime]


class Approval(Base):
    """An act that waits for a second person, or was decided. What was asked never changes."""

    __tablename__ = "approval"
    __table_args__ = (
        CheckConstraint("state in ('open', 'approved', 'rejected', 'expired')", name="state"),
        CheckConstraint("decided_by <> asked_by", name="two_people"),
        CheckConstraint(
            "case when state in ('approved', 'rejected') then decided_by is not null and decided_at is not null"
            " and decided_at >= asked_at and decided_at < expires_at"
            " else decided_by is null and (decided_at is null) = (state = 'open') end", name="decided",
        ),
        CheckConstraint("expires_at > asked_at and reason <> '' and act <> '' and subject <> ''", name="life"),
        Index("uq_approval_open", "act", "subject", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_approval_expires", "expires_at", postgresql_where=text("state = 'open'")),
    )

    id: Mapped[RowId]
    act: Mapped[str]
    subject: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
    reason: Mapped[str]
    asked_by: Mapped[str] = mapped_column(ForeignKey("operator.name"))
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    state: Mapped[str] = mapped_column(server_default="open")
    decided_by: Mapped[str | None] = mapped_column(ForeignKey("operator.name"))
    decided_at: Mapped[datetime | None]
    note: Mapped[str] = mapped_column(server_default="")
