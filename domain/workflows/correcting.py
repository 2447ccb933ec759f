"""What an operator puts right by hand: a coupon taken back, or given anew. With a reason, in the log, once each."""

from datetime import datetime

from sqlalchemy.orm import Session

from domain.audit import service as audit
from domain.audit.rules import Actor, Role
from domain.rewards import service as rewards
from domain.rewards.queries import CouponView
from domain.shared.errors import DomainError

MAY: frozenset[Role] = frozenset({"operator"})
"""Beside owners."""
LONGEST_REASON = 200


def revoke(session: Session, code: str, reason: str, actor: Actor, now: datetime) -> CouponView:
    """Take an unused coupon back. One that was taken back before stays so, with the first reason.

    Raises NotFound("coupon.unknown"), DomainError("coupon.spent" | "coupon.run_out") when there is nothing left to take
    back, DomainError("not_permitted" | "reason_missing").
    """
    said = _allowed(actor, reason, "reward.revoke")
    found, changed = rewards.take_back(session, code, said, now)
    if changed:
        audit.record(session, actor, "reward.revoke", f"coupon:{found.code}",
                     {"person_id": found.person_id, "title": found.title, "reason": said}, now)
    return found


def give_again(session: Session, code: str, reason: str, actor: Actor, now: datetime) -> CouponView:
    """A coupon like one that ran out or was taken back, valid for as long, for the same person. Asked again it is the
    same one: a coupon is replaced once.

    Raises NotFound("coupon.unknown"), DomainError("coupon.spent" | "coupon.still_good"),
    DomainError("not_permitted" | "reason_missing").
    """
    said = _allowed(actor, reason, "reward.again")
    made, fresh = rewards.replace(session, code, now)
    if fresh:
        audit.record(session, actor, "reward.again", f"coupon:{made.code}",
                     {"person_id": made.person_id, "title": made.title, "instead_of": code, "reason": said}, now)
    return made


def _allowed(actor: Actor, reason: str, act: str) -> str:
    if not actor.may(MAY):
        raise DomainError("not_permitted", act=act)
    said = reason.strip()[:LONGEST_REASON]
    if not said:
        raise DomainError("reason_missing")
    return said
