"""Where somebody stands in the programme, for chat, pages and the API: the count of their orders as it is now, what
that opened, and what is ahead."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from domain.insight import queries as insight
from domain.memberships import queries as memberships
from domain.people import queries as people
from domain.rewards import queries as rewards
from domain.rewards import unlocking
from domain.rewards.climbing import Kept, Standing, standing
from domain.rewards.programme import Benefits, Programme
from domain.rewards.queries import Member, RewardView
from domain.shared.records import record


@record
class Progress:
    """``reached``: orders of the see-order steps that are theirs. ``waiting``: what is provisional, each with its final
    day if that is known; ``final``: how many are theirs for good. ``phone_missing``: an invite reward waits for a
    verified phone."""

    standing: Standing
    member: Member
    reached: tuple[int, ...]
    waiting: tuple[RewardView, ...]
    final: int
    phone_missing: bool


def member(session: Session, person_id: int, programme: Programme, now: datetime) -> Member:
    """The membership of a person now, by whatever gave it: a card that was paid for ranks above every tier that orders
    opened; the benefits are those of all, and of the circles they are in."""
    earned = rewards.member(session, person_id, programme)
    card = memberships.of(session, person_id, now)
    circles = programme.benefits_of(insight.of(session, person_id).tags) if programme.circle else []
    benefits = Benefits.of([*earned.benefits, *circles, *(card.benefits if card else ())]).codes
    if card is None:
        return replace(earned, benefits=benefits)
    return Member(card.tier, card.title, benefits, card.since)


def counted(session: Session, person_id: int, programme: Programme, now: datetime) -> Standing:
    """Only the count: one statement."""
    return _standing(programme, _orders(session, person_id, programme, now), now)


def progress(session: Session, person_id: int, programme: Programme, now: datetime) -> Progress:
    """Everything. ``person_id`` is a living person's."""
    orders = _orders(session, person_id, programme, now)
    rows = rewards.rewards_of(session, person_id)
    view = people.person(session, person_id)
    waiting = tuple(row for row in rows if row.state == "provisional")
    brought = sorted(orders, key=lambda one: (one.paid_at, one.id))
    missing = bool(programme.invite and view and view.phone_verified_at is None and brought and brought[0].seller_id)
    final = sum(row.state == "final" for row in rows)
    reached = tuple(sorted(int(row.rung) for row in rows if row.ladder == "see_order" and row.rung.isdecimal()))
    return Progress(_standing(programme, orders, now), member(session, person_id, programme, now), reached, waiting,
                    final, missing)


def _orders(session: Session, person_id: int, programme: Programme, now: datetime) -> list[Kept]:
    return unlocking.orders_of(session, [person_id], programme, now).get(person_id, [])


def _standing(programme: Programme, orders: list[Kept], now: datetime) -> Standing:
    return standing(programme, [one.paid_at for one in orders], now)
