"""Use case: somebody arrives by a poster, follows, comes back, or leaves."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy.orm import Session

from domain.commissions import service as commissions
from domain.journeys import service as journeys
from domain.journeys.runs import Event
from domain.materials import service as materials
from domain.people import queries as people_queries
from domain.people import service as people
from domain.people.rules import IdentityRef
from domain.platform import service as platform
from domain.referrals import service as referrals
from domain.referrals.queries import referrer_of
from domain.referrals.rules import BindingPolicy, Touch
from domain.rewards import service as rewards
from domain.rewards.queries import CouponView
from domain.rewards.rules import FIRST_ORDER_SHARE, NEWCOMER, Offers
from domain.shared.records import record

Kind = Literal["newcomer", "returned", "erased", "scan", "own"]


@record
class Arrival:
    """What the greeting needs. ``by_poster``: a living poster brought them; ``sharer`` is the nickname of who shared
    it ('' when nobody told us one), ``sku`` what it showed.

    ``kind``: newcomer (first follow ever), returned (followed before), erased (and was erased since), scan (already
    following), own (own poster).
    ``bound``: this arrival tied them to the sharer. ``coupon``: the newcomer's, only at the first arrival.
    """

    kind: Kind
    sharer: str
    bound: bool
    coupon: CouponView | None
    sku: str
    by_poster: bool = False


def followed(
    session: Session, openid: IdentityRef, scene_token: str, offers: Offers, scanned_at: datetime, now: datetime
) -> Arrival:
    """A follow, by a poster (its scene token) or plain (''). Following again earns and changes nothing."""
    follow = people.follow(session, openid, now)
    kind: Kind = "newcomer" if follow.first else "returned"
    arrival = _by_poster(session, follow.person_id, scene_token, kind, scanned_at, now)
    _tell(session, "person.followed", follow.person_id, now, first=follow.first, by_poster=arrival.by_poster,
          sharer=arrival.sharer, sku=arrival.sku)
    if not follow.first:
        return arrival
    return replace(arrival, coupon=rewards.welcome(session, follow.person_id, offers.of(NEWCOMER), now))


def scanned(session: Session, person_id: int, scene_token: str, scanned_at: datetime, now: datetime) -> Arrival:
    """A follower scans a poster. ``scanned_at`` is the platform's date of the scan."""
    arrival = _by_poster(session, person_id, scene_token, "scan", scanned_at, now)
    _tell(session, "person.scanned", person_id, now, sharer=arrival.sharer, sku=arrival.sku)
    return arrival


def unfollowed(session: Session, openid: IdentityRef, account: str, now: datetime) -> None:
    """Every message to this account stops at once; bindings and money stay."""
    person_id = people.unfollow(session, openid, now)
    platform.close(session, account, openid.value)
    _tell(session, "person.unfollowed", person_id, now)


def _tell(session: Session, kind: str, person_id: int, now: datetime, **facts: object) -> None:
    """What journeys hear of it. The message's own transaction makes it once."""
    journeys.happened(session, [Event(kind, f"{kind}:{person_id}:{now.isoformat()}", person_id, now, facts)], now)


def _by_poster(
    session: Session, person_id: int, scene_token: str, kind: Kind, scanned_at: datetime, now: datetime
) -> Arrival:
    scene = materials.scene_of(session, scene_token, now) if scene_token else None
    if scene is None:
        return Arrival(kind, "", False, None, "")
    sharer = people_queries.person(session, scene.sharer_id)
    assert sharer is not None
    if sharer.id == person_id:
        return Arrival("own" if kind == "scan" else kind, "", False, None, scene.sku)
    touch = Touch(referee_id=person_id, sharer_id=sharer.id, at=touched_at(scanned_at, now), source="poster",
                  scene=scene.token)
    outcome = referrals.bind(session, touch, binding_policy(session, now), now)
    return Arrival(kind, sharer.nickname, outcome.kind in _BOUND, None, scene.sku, by_poster=True)


def touched_at(scanned_at: datetime, now: datetime) -> datetime:
    """When the scan counts: at the platform's date of it, if that is plausible, so that a late callback costs nobody an
    order. To the second, as shops date orders: whoever scans and buys within one second was bound before."""
    return (scanned_at if now - LATE_CALLBACK <= scanned_at <= now else now).replace(microsecond=0)


LATE_CALLBACK = timedelta(minutes=2)
"""The platform's tries take 15 s, a failed message its sweeper's; beyond that our own clock is trusted."""


def binding_policy(session: Session, now: datetime) -> BindingPolicy:
    """The live plan's binding, as referrals speak of it."""
    binding = commissions.live_plan(session, now).binding
    return BindingPolicy(binding.mode, binding.valid_days, binding.protect_days)


def reward_first_order(
    session: Session, friend_id: int, offers: Offers, now: datetime
) -> list[CouponView]:
    """The coupons of both sides for a friend's first order that holds; [] when nobody brought them."""
    sharer_id = referrer_of(session, friend_id, now)
    if sharer_id is None:
        return []
    return rewards.reward_first_order(session, friend_id, sharer_id, offers.of(FIRST_ORDER_SHARE), now)


_BOUND = frozenset({"bound", "taken_over", "late"})
