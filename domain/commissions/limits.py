"""How far down the shop's plans may pay: one level and no team, until the owner and a second person say otherwise.

The law behind it (禁止传销条例 art. 7) knows no safe number of levels, so more than one is a decision that is kept with
who took it and why; the database refuses plans beyond it.
"""

from datetime import datetime

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from domain.commissions.models import CommissionPlan, PlanLimit
from domain.commissions.plans import MAX_LEVELS, Plan
from domain.shared.errors import DomainError
from domain.shared.records import record


@record
class Limits:
    """``team_pay``: whether a plan may pay a leader on the sales of a team."""

    max_levels: int = 1
    team_pay: bool = False


def limits(session: Session) -> Limits:
    """What the shop allows its plans now."""
    newest = session.scalars(select(PlanLimit).order_by(PlanLimit.id.desc()).limit(1)).first()
    return Limits(newest.max_levels, newest.team_pay) if newest else Limits()


def allowed_levels(session: Session) -> int:
    """The most levels a plan may pay now, 1 to 3."""
    return limits(session).max_levels


def refuse_beyond(session: Session, plan: Plan) -> None:
    """Raises DomainError("levels_not_allowed" | "team_not_allowed") for a plan that the shop does not allow."""
    allowed = limits(session)
    if plan.levels > allowed.max_levels:
        raise DomainError("levels_not_allowed", levels=plan.levels, allowed=allowed.max_levels)
    if plan.team is not None and not allowed.team_pay:
        raise DomainError("team_not_allowed")


def set_limits(session: Session, wanted: Limits, operator: str, approval_id: int, now: datetime) -> None:
    """Write down what an approval of ``plan.levels`` allows. Raises DomainError("levels_in_use") when a plan that is
    live, or will be, pays further down than that: publish another one first."""
    session.execute(text("select pg_advisory_xact_lock(hashtext('commission_plan'))"))
    plans = session.scalars(select(CommissionPlan).order_by(CommissionPlan.version)).all()
    live = [plan for plan in plans if plan.live_from <= now][-1:] + [plan for plan in plans if plan.live_from > now]
    for plan in live:
        if plan.document.get("levels", 1) > wanted.max_levels or (plan.document.get("team") and not wanted.team_pay):
            raise DomainError("levels_in_use", version=plan.version)
    session.add(PlanLimit(max_levels=wanted.max_levels, team_pay=wanted.team_pay, since=now, operator=operator,
                          approval_id=approval_id))
    session.flush()


def check(wanted: Limits) -> None:
    """Raises DomainError("levels_range") for limits beyond the hard one of the house."""
    if not 1 <= wanted.max_levels <= MAX_LEVELS:
        raise DomainError("levels_range", most=MAX_LEVELS)
