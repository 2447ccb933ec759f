"""What an approved act does, by name; approval and act share one transaction."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from domain.audit import approvals
from domain.audit.approvals import Approval
from domain.audit.rules import SYSTEM, Actor
from domain.payouts import service as payouts
from domain.shared.errors import DomainError
from domain.workflows import freezing, levels, paying, publishing, taking_back, withdrawing

Act = Callable[[Session, Approval, Actor, datetime], None]

ACTS: dict[str, Act] = {
    levels.ACT: levels.apply, paying.ACT: paying.explained,
    "person.freeze": freezing.freeze, "person.release": freezing.release, "person.confiscate": freezing.confiscate,
    publishing.PUBLISH: publishing.publish,
    publishing.ROLLBACK: publishing.roll_back,
    payouts.ACT: withdrawing.approved,
    taking_back.POINTS: taking_back.points_taken, taking_back.GIFT: taking_back.gift_taken,
}
"""Act → what an approval of it does, for exactly those of ``audit.rules.TWO_PERSON_ACTS`` (a test compares).
``Approval.payload`` says on what; the actor is who approved. What it raises
leaves the approval open."""

DECLINED: dict[str, Act] = {
    publishing.PUBLISH: publishing.declined, payouts.ACT: withdrawing.declined,
}
"""Act → what a rejection or an expiry of it does, where something waits for the answer. At expiry the actor is the
system."""


def decide(
    session: Session, approval_id: int, approve: bool, actor: Actor, now: datetime, note: str = ""
) -> Approval:
    """Decide an approval and do what follows from it, all or nothing.

    Raises what ``approvals.decide`` raises, DomainError("act_unknown") for an act that nobody registered, and whatever
    the act itself refuses.
    """
    decided = approvals.decide(session, approval_id, approve, actor, now, note)
    if approve and decided.act not in ACTS:
        raise DomainError("act_unknown", act=decided.act)
    consequence = ACTS[decided.act] if approve else DECLINED.get(decided.act)
    session.flush()
    if consequence is not None:
        consequence(session, decided, actor, now)
    return decided


def expire_due(session: Session, now: datetime, limit: int) -> int:
    """Close approvals that nobody decided in time; returns how many were."""
    closed = 0
    for approval in approvals.lapsed(session, now, limit):
        try:
            with session.begin_nested():
                approvals.expire(session, approval, now)
                if approval.act in DECLINED:
                    DECLINED[approval.act](session, approval, SYSTEM, now)
        except DomainError:  # it stays lapsed and is tried again; the others must not wait for it
            continue
        closed += 1
    return closed
