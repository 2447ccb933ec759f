"""The owner's switch: how many levels plans may pay, and whether a team may be paid for. Two people, and a warning."""

from datetime import datetime

from sqlalchemy.orm import Session

from domain.audit import approvals
from domain.audit.approvals import Approval
from domain.audit.rules import Actor
from domain.commissions import limits
from domain.commissions.limits import Limits
from domain.shared.errors import DomainError

ACT, SUBJECT = "plan.levels", "shop"


def ask(session: Session, wanted: Limits, warning: str, reason: str, actor: Actor, now: datetime) -> Approval:
    """Ask a second person to change what plans may pay. ``warning``: the text about the law that the owner has read;
    it is kept with the approval, and whoever decides reads it too. Needed for more than one level or team pay.

    Raises DomainError("levels_range" | "warning_missing" | "levels_unchanged") and what ``approvals.ask`` raises.
    """
    limits.check(wanted)
    if (wanted.max_levels > 1 or wanted.team_pay) and not warning.strip():
        raise DomainError("warning_missing")
    if limits.limits(session) == wanted:
        raise DomainError("levels_unchanged")
    payload = {"max_levels": wanted.max_levels, "team_pay": wanted.team_pay, "warning": warning.strip()}
    return approvals.ask(session, ACT, SUBJECT, payload, reason, actor, now)


def apply(session: Session, approval: Approval, actor: Actor, now: datetime) -> None:
    """What an approved change does."""
    wanted = Limits(approval.payload["max_levels"], approval.payload["team_pay"])
    limits.set_limits(session, wanted, actor.name, approval.id, now)
