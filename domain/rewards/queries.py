"""Reading coupons."""

from datetime import datetime
from typing import Literal, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.people.queries import survivors
from domain.rewards.models import Coupon, Membership, Reward
from domain.rewards.programme import Benefits, Programme
from domain.shared.records import record

State = Literal["issued", "used", "expired", "revoked"]


@record
class CouponView:
    """A coupon as of a time. Money in fen; ``state`` counts a run-out coupon as expired at once.

    ``off_fen`` 0: ``pay_bps`` of the price is to be paid, at most ``max_off_fen`` off (0: no limit).
    """

    code: str
    person_id: int
    kind: str
    title: str
    off_fen: int
    min_spend_fen: int
    valid_from: datetime
    valid_until: datetime
    state: State
    used_channel: str
    used_order: str
    used_at: datetime | None
    pay_bps: int = 10_000
    max_off_fen: int = 0


def view(coupon: Coupon, now: datetime) -> CouponView:
    """What a row means at ``now``."""
    run_out = coupon.state == "issued" and coupon.valid_until <= now
    return CouponView(
        coupon.code, coupon.person_id, coupon.kind, coupon.title, coupon.off_fen, coupon.min_spend_fen,
        coupon.valid_from, coupon.valid_until, "expired" if run_out else cast(State, coupon.state),
        coupon.used_channel, coupon.used_order, coupon.used_at,
        coupon.pay_bps, coupon.max_off_fen,
    )


def coupons_of(session: Session, person_id: int, now: datetime, *, limit: int = 100) -> list[CouponView]:
    """A person's coupons, newest first, whatever their state."""
    alive = survivors(session, [person_id]).get(person_id)
    rows = session.scalars(
        select(Coupon).where(Coupon.person_id == alive).order_by(Coupon.id.desc()).limit(limit),
        execution_options={"populate_existing": True},
    )
    return [view(row, now) for row in rows]


def coupon(session: Session, coupon_id: int, now: datetime) -> CouponView | None:
    row = session.get(Coupon, coupon_id, populate_existing=True)
    return view(row, now) if row is not None else None


def usable(session: Session, person_id: int, now: datetime) -> list[CouponView]:
    """A person's coupons that an order could use now, the one that runs out first in front."""
    alive = survivors(session, [person_id]).get(person_id)
    rows = session.scalars(
        select(Coupon)
        .where(Coupon.person_id == alive, Coupon.state == "issued", Coupon.valid_from <= now, Coupon.valid_until > now)
        .order_by(Coupon.valid_until, Coupon.id),
        execution_options={"populate_existing": True},
    )
    return [view(row, now) for row in rows]


@record
class RewardView:
    """Something that orders opened. ``amount``: fen of a red packet, or points. ``until``: the day on which a
    provisional one becomes final, None while an order is on its way."""

    ladder: str
    rung: str
    what: str
    amount: int
    title: str
    state: str
    since: datetime
    until: datetime | None


@record
class Member:
    """``tier`` None: no membership. ``title`` is what it is called; of two prices the better one is a benefit."""

    tier: str | None
    title: str
    benefits: tuple[str, ...]
    since: datetime | None


def rewards_of(session: Session, person_id: int) -> list[RewardView]:
    """What somebody has by their own orders or those of friends, newest first; nothing that was revoked."""
    rows = session.scalars(
        select(Reward).where(Reward.person_id == person_id, Reward.state != "revoked").order_by(Reward.id.desc()),
        execution_options={"populate_existing": True})
    return [RewardView(row.ladder, row.rung, row.what, row.amount, row.title, row.state, row.since, row.final_at)
            for row in rows]


def member(session: Session, person_id: int, programme: Programme) -> Member:
    """The membership of a person now: the highest tier that is running, with the benefits of all of them."""
    rows = session.execute(select(Membership.tier, Membership.benefits, Membership.since)
                           .where(Membership.person_id == person_id, Membership.until.is_(None))).all()
    tier = programme.highest([row.tier for row in rows])
    if tier is None:
        return Member(None, "", (), None)
    benefits = Benefits.of([code for row in rows for code in row.benefits])
    since = min(row.since for row in rows if row.tier == tier)
    return Member(tier, programme.title_of(tier), benefits.codes, since)
