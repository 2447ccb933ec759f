"""Incidents of the payment channel where they meet approvals: an explanation counts when a second person agrees."""

from datetime import datetime

from sqlalchemy.orm import Session

from domain.audit.approvals import Approval
from domain.audit.rules import Actor
from domain.payouts import reconcile

ACT = reconcile.ACT


def explained(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """Close the incident; with the last one, money may leave again."""
    reconcile.explained(session, int(approval.payload["incident_id"]), approval.reason, actor, now)
