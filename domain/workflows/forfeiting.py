"""What somebody had to spend is forfeited when they are erased; what they are answerable for is not (docs/adr/0037).

Points, unused coupons, draw tickets and the tiers that orders opened go whoever ended it. A card that was paid for goes
only with those who asked for their erasure: they were told before, and whoever merely unfollowed was not.
"""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

from domain.audit.rules import SYSTEM
from domain.draws import service as draws
from domain.memberships import service as memberships
from domain.points import service as points
from domain.rewards import service as rewards
from domain.shared.records import record

REASON = "left"

_HOLDINGS = text("""
    select (select coalesce(sum(remaining), 0) from point_lot
             where person_id = :person and state = 'active' and expires_at > :now)::bigint as points,
           (select count(*) from coupon
             where person_id = :person and state = 'issued' and valid_until > :now) as coupons,
           exists (select from member_card where person_id = :person and ends_at > :now and ends_at > starts_at)
               or exists (select from membership where person_id = :person and until is null) as member""")


@record
class Holdings:
    """What somebody would forfeit now: points and coupons that they could spend, and whether they are a member."""

    points: int
    coupons: int
    member: bool


def holdings(session: Session, person_id: int, now: datetime) -> Holdings:
    return Holdings(*session.execute(_HOLDINGS, {"person": person_id, "now": now}).one())


def forfeit(session: Session, person_id: int, erasure_id: int, now: datetime, *, asked: bool) -> dict[str, int]:
    """Take everything that could be spent; how many rows of which table that were. ``asked``: by themselves."""
    member = holdings(session, person_id, now).member
    counts = {
        "point_lot": points.forfeit(session, person_id, f"erasure:{erasure_id}:points", now),
        "coupon": rewards.forfeit(session, person_id, REASON, now),
        "draw_ticket": draws.forfeit(session, person_id, now),
    }
    if asked and member:
        counts["member_card"] = memberships.revoke(session, person_id, REASON, SYSTEM, now)
    return {name: count for name, count in counts.items() if count}
