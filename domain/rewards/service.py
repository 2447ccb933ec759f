"""Issuing, using, giving back and revoking coupons.

Facts for subscribers (queue ``fact``): ``coupon.merged`` {stays}: of two once-only coupons of one person one was taken
back, the coupon ``stays`` (its id) is the other.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from domain.people.queries import survivors
from domain.rewards import rules, unlocking
from domain.rewards.models import Coupon, CouponReturn
from domain.rewards.queries import CouponView, view
from domain.rewards.rules import CouponOffer
from domain.shared import outbox
from domain.shared.errors import Conflict, DomainError, NotFound
from domain.shared.ids import short_code

_TRIES = 5
MERGED = "merged"


def issue(session: Session, person_id: int, offer: CouponOffer, key: str, now: datetime) -> CouponView:
    """Give a coupon for the business fact ``key``, once for it ever; repeating the fact answers the same coupon.

    So does another fact when the person already had theirs of a once-only kind.
    Raises NotFound for an unknown person, Conflict('coupon.key_reused') when the key issued something else.
    """
    alive = _living(session, person_id)
    for _ in range(_TRIES):
        row = session.scalars(
            insert(Coupon).on_conflict_do_nothing().returning(Coupon).values(
                code=short_code(rules.CODE_LENGTH), person_id=alive, key=key, kind=offer.kind, once=offer.once,
                title=offer.title, off_fen=offer.off_fen, pay_bps=offer.pay_bps,
                max_off_fen=offer.max_off_fen, min_spend_fen=offer.min_spend_fen,
                valid_from=now, valid_until=now + timedelta(days=offer.valid_days),
            )
        ).one_or_none()
        if row is not None:
            return view(row, now)
        known = session.scalar(select(Coupon).where(Coupon.key == key))
        if known is not None and (known.person_id, known.kind) != (alive, offer.kind):
            raise Conflict("coupon.key_reused", key=key)
        if known is None and offer.once:
            known = session.scalar(select(Coupon).where(
                Coupon.person_id == alive, Coupon.kind == offer.kind, Coupon.once))
        if known is not None:
            return view(known, now)
    raise Conflict("coupon.busy")


def welcome(session: Session, person_id: int, offer: CouponOffer, now: datetime) -> CouponView:
    """The newcomer's coupon: once a person, whoever they were before a merge."""
    return issue(session, person_id, offer, f"{offer.kind}:{person_id}", now)


def reward_first_order(
    session: Session, friend_id: int, sharer_id: int, offer: CouponOffer, now: datetime
) -> list[CouponView]:
    """Both sides' coupon when the friend's first order has completed: friend, then sharer. Once a friend."""
    return [
        issue(session, friend_id, offer, f"{offer.kind}:{friend_id}:friend", now),
        issue(session, sharer_id, offer, f"{offer.kind}:{friend_id}:sharer", now),
    ]


def take_back_first_order(session: Session, friend_id: int, offer: CouponOffer, now: datetime) -> int:
    """Revoke what ``reward_first_order`` gave, as far as unused; how many. For a friend without an order left."""
    return sum(
        revoke(session, f"{offer.kind}:{friend_id}:{side}", "order_returned", now) for side in ("friend", "sharer")
    )


def redeem(session: Session, code: str, channel: str, order_no: str, now: datetime) -> CouponView:
    """Use a coupon for an order. The same order again gets the same answer. Of two that a merge made one of, the code
    that the customer has in hand is good: the other one goes for it.

    Raises NotFound('coupon.unknown'), Conflict('coupon.used') for another order, DomainError('coupon.expired',
    'coupon.revoked'), and Conflict('coupon.returned') for an order that gave it back.
    """
    if not channel or not order_no:
        raise DomainError("coupon.order_missing")
    coupon = _locked(session, Coupon.code == code)
    if coupon is None:
        raise NotFound("coupon.unknown")
    if coupon.state == "used":
        if (coupon.used_channel, coupon.used_order) == (channel, order_no):
            return view(coupon, now)
        raise Conflict("coupon.used")
    if session.get(CouponReturn, (coupon.id, channel, order_no)) is not None:
        raise Conflict("coupon.returned")
    if coupon.state == "revoked" and coupon.reason == MERGED and coupon.valid_until > now:
        _take_twins_place(session, coupon)
    state = view(coupon, now).state
    if state != "issued":
        raise DomainError(f"coupon.{state}")
    coupon.state, coupon.used_channel, coupon.used_order, coupon.used_at = "used", channel, order_no, now
    session.flush()
    return view(coupon, now)


def give_back(session: Session, channel: str, order_no: str, now: datetime) -> int:
    """Return the coupons that an order used (it was returned or closed); how many. Their validity stays."""
    used = session.scalars(
        select(Coupon).where(Coupon.state == "used", Coupon.used_channel == channel, Coupon.used_order == order_no)
        .order_by(Coupon.id).with_for_update(key_share=True),
        execution_options={"populate_existing": True},
    ).all()
    for coupon in used:
        session.add(CouponReturn(coupon_id=coupon.id, channel=channel, order_no=order_no,
                                 used_at=coupon.used_at, returned_at=now))
        coupon.state, coupon.used_channel, coupon.used_order, coupon.used_at = "issued", "", "", None
    session.flush()
    return len(used)


def revoke(session: Session, key: str, reason: str, now: datetime) -> bool:
    """Take back the coupon that a fact issued. Whether that happened: a used or expired one stays as it is."""
    coupon = _locked(session, Coupon.key == key)
    if coupon is None or view(coupon, now).state != "issued":
        return False
    coupon.state, coupon.reason = "revoked", reason
    session.flush()
    return True


def take_back(session: Session, code: str, reason: str, now: datetime) -> tuple[CouponView, bool]:
    """Revoke an unused coupon by its code; also whether that changed anything.

    Raises NotFound("coupon.unknown"), DomainError("coupon.spent" | "coupon.run_out").
    """
    coupon = _by_code(session, code)
    state = view(coupon, now).state
    if state == "used":
        raise DomainError("coupon.spent", coupon=code, order=coupon.used_order)
    if state == "expired":
        raise DomainError("coupon.run_out", coupon=code)
    if state == "issued":
        coupon.state, coupon.reason = "revoked", reason
        session.flush()
    return view(coupon, now), state == "issued"


def replace(session: Session, code: str, now: datetime) -> tuple[CouponView, bool]:
    """A coupon like this one, which cannot be used any more, from now on for as long; also whether it is new. Each is
    replaced once.

    Raises NotFound("coupon.unknown"), DomainError("coupon.spent" | "coupon.still_good").
    """
    old = _by_code(session, code)
    state, key = view(old, now).state, f"again:{old.id}"
    if state == "used":
        raise DomainError("coupon.spent", coupon=code, order=old.used_order)
    known = session.scalar(select(Coupon).where(Coupon.key == key))
    if known is not None:
        return view(known, now), False
    if state == "issued":
        raise DomainError("coupon.still_good", coupon=code)
    made = Coupon(
        code=short_code(rules.CODE_LENGTH), person_id=_living(session, old.person_id), key=key, kind=old.kind,
        once=False, title=old.title, off_fen=old.off_fen, pay_bps=old.pay_bps, max_off_fen=old.max_off_fen,
        min_spend_fen=old.min_spend_fen, valid_from=now, valid_until=now + (old.valid_until - old.valid_from))
    session.add(made)
    session.flush()
    return view(made, now), True


def _by_code(session: Session, code: str) -> Coupon:
    coupon = _locked(session, Coupon.code == code)
    if coupon is None:
        raise NotFound("coupon.unknown")
    return coupon


def forfeit(session: Session, person_id: int, reason: str, now: datetime) -> int:
    """Every unused coupon of somebody is revoked, and the tiers that orders opened end; how many coupons."""
    session.flush()
    done = session.execute(
        update(Coupon).where(Coupon.person_id == person_id, Coupon.state == "issued")
        .values(state="revoked", reason=reason).returning(Coupon.id),
        execution_options={"synchronize_session": False}).all()
    session.execute(text("update membership set until = greatest(:now, since)"
                         " where person_id = :person and until is null"), {"person": person_id, "now": now})
    return len(done)


def expire(session: Session, now: datetime) -> int:
    """Write down which coupons have run out by ``now``; how many. Reading and redeeming judge by the time anyway."""
    done = session.execute(
        update(Coupon).where(Coupon.state == "issued", Coupon.valid_until <= now).values(state="expired")
        .returning(Coupon.id), execution_options={"synchronize_session": False},
    )
    return len(done.all())


def _living(session: Session, person_id: int) -> int:
    alive = survivors(session, [person_id]).get(person_id)
    if alive is None:
        raise NotFound("person.unknown")
    return alive


def _locked(session: Session, which: ColumnElement[bool]) -> Coupon | None:
    return session.scalars(select(Coupon).where(which).with_for_update(key_share=True),
                           execution_options={"populate_existing": True}).one_or_none()


def _take_twins_place(session: Session, coupon: Coupon) -> None:
    """A merge revoked this one and left its twin: unused still, the twin is revoked in its stead."""
    twin = _locked(session, (Coupon.person_id == coupon.person_id) & (Coupon.kind == coupon.kind) & Coupon.once)
    if twin is None or twin.state != "issued":
        return
    twin.once, twin.state, twin.reason = False, "revoked", MERGED
    session.flush()  # one of a kind: the twin must be none before this is one again
    coupon.once, coupon.state, coupon.reason = True, "issued", ""
    session.flush()


_TWICE = """
    from coupon k join coupon g on g.kind = k.kind and g.once and k.once
    where k.person_id = :kept and g.person_id = :gone"""
_HOLD_TWICE = text(f"""
    select c.id from coupon c where c.once and c.id in (select unnest(array[k.id, g.id]) {_TWICE})
    order by c.id for no key update""")  # noqa: S608 - constants
_DUPLICATES = text(f"""
    with twice as (
        select k.id as kept_coupon, g.id as gone_coupon, g.state = 'used' and k.state <> 'used' as keep_gone {_TWICE}
    ), was as (
        select c.id, c.state = 'issued' as taken, case when keep_gone then gone_coupon else kept_coupon end as stays
        from coupon c join twice on c.id = case when keep_gone then kept_coupon else gone_coupon end
    )
    update coupon c set once = false,
        state = case c.state when 'issued' then 'revoked' else c.state end,
        reason = case c.state when 'issued' then 'merged' else c.reason end
    from was where c.id = was.id returning c.id, was.taken, was.stays
""")  # noqa: S608 - constants


def _merge_twins(session: Session, kept_id: int, gone_id: int, now: datetime) -> None:
    """Of two once-only coupons one stays: the used one if there is one. Held first, so that one which is being redeemed
    meanwhile is seen as used."""
    people = {"kept": kept_id, "gone": gone_id}
    session.execute(_HOLD_TWICE, people)
    for row in session.execute(_DUPLICATES, people).all():
        if row.taken:
            outbox.put(session, [outbox.Effect("fact", "coupon.merged", f"coupon.merged:{row.id}", kept_id,
                                               {"stays": row.stays})], now)


def move(session: Session, kept_id: int, gone_id: int, now: datetime) -> dict[str, int]:
    """Rewards' part of a merge (a people.service.Mover). Of two once-only coupons an unused one is revoked, and the
    person is told."""
    session.flush()
    _merge_twins(session, kept_id, gone_id, now)
    moved = session.execute(update(Coupon).where(Coupon.person_id == gone_id).values(person_id=kept_id)
                            .returning(Coupon.id), execution_options={"synchronize_session": False}).all()
    rows = {"coupon": len(moved), "reward": unlocking.move(session, kept_id, gone_id)}
    return {name: count for name, count in rows.items() if count}
