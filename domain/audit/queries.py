"""Reading the log: operators, approvals and acts, newest first, for lists and pages."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.audit.models import Approval, AuditEvent, Operator
from domain.shared.records import record

BEYOND = 2**62
"""Above every id."""


@record
class OperatorView:
    """``has_key``: an API key was made and still opens."""

    name: str
    role: str
    has_key: bool
    added_at: datetime
    disabled_at: datetime | None


@record
class ApprovalView:
    """An approval as asked, and what became of it. ``state``: open, approved, rejected or expired."""

    id: int
    act: str
    subject: str
    payload: Mapping[str, Any]
    reason: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    state: str
    decided_by: str | None
    decided_at: datetime | None
    note: str


@record
class EventView:
    """One act of the log. ``at`` is business time, ``written_at`` the database's own."""

    id: int
    at: datetime
    written_at: datetime
    operator: str
    role: str
    act: str
    subject: str
    detail: Mapping[str, Any]


def operators(session: Session) -> list[OperatorView]:
    """Everybody who ever ran the shop, first hired first."""
    return [
        OperatorView(one.name, one.role, bool(one.key_hash), one.added_at, one.disabled_at)
        for one in session.scalars(select(Operator).order_by(Operator.id))
    ]


def approvals(
    session: Session, now: datetime, state: str = "open", before: int = BEYOND, limit: int = 50
) -> list[ApprovalView]:
    """Newest first. ``state`` '' for all; one that lapsed but is not closed yet counts as expired."""
    wanted = select(Approval).where(Approval.id < before).order_by(Approval.id.desc()).limit(limit)
    if state == "open":
        wanted = wanted.where(Approval.state == "open", Approval.expires_at > now)
    elif state == "expired":
        wanted = wanted.where((Approval.state == "expired") | (Approval.state == "open") & (Approval.expires_at <= now))
    elif state:
        wanted = wanted.where(Approval.state == state)
    return [approval_view(one, now) for one in session.scalars(wanted)]


def approval_view(one: Approval, now: datetime) -> ApprovalView:
    state = "expired" if one.state == "open" and one.expires_at <= now else one.state
    return ApprovalView(
        one.id, one.act, one.subject, one.payload, one.reason, one.asked_by, one.asked_at, one.expires_at, state,
        one.decided_by, one.decided_at, one.note,
    )


def events(
    session: Session, before: int = BEYOND, limit: int = 50, subject: str = "", operator: str = "", act: str = ""
) -> list[EventView]:
    """Newest first; '' filters nothing. ``act`` ending with a full stop asks for all that start so (``plan.``)."""
    wanted = select(AuditEvent).where(AuditEvent.id < before).order_by(AuditEvent.id.desc()).limit(limit)
    if subject:
        wanted = wanted.where(AuditEvent.subject == subject)
    if operator:
        wanted = wanted.where(AuditEvent.operator == operator)
    if act:
        wanted = wanted.where(AuditEvent.act.startswith(act, autoescape=True) if act.endswith(".")
                              else AuditEvent.act == act)
    return [
        EventView(one.id, one.at, one.written_at, one.operator, one.role, one.act, one.subject, one.detail)
        for one in session.scalars(wanted)
    ]
