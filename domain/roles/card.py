"""Everything that 等级 says about one person: what they are and why, what leads up, and what keeps it."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.orders.models import CustomerOrder
from domain.people.queries import survivors
from domain.roles import decisions, honours, repurchase, rulebooks, volumes
from domain.roles.assessment import notice_of
from domain.roles.honours import BadgeView
from domain.roles.models import RoleGrant
from domain.roles.rulebook import Gold, Partner, Rulebook
from domain.roles.rules import (
    ROLES,
    Purchase,
    Role,
    Warned,
    deadline,
    final_repurchases,
    highest,
    later,
    misses,
    month_of,
    repurchases,
    streak,
)
from domain.shared.clock import business_date
from domain.shared.records import record


@record
class Held:
    """A role that somebody holds. ``because``: order (``detail`` its number), repurchase (how many), assessment (the
    month), invitation, operator … ``final_on``: when a provisional one is expected to be final, None if nobody knows.
    """

    role: Role
    since: datetime
    because: str
    detail: str
    provisional: bool
    final_on: date | None = None


@record
class GoldWay:
    """Repurchases made of those needed. ``first_order``: not even the first order is there yet."""

    needed: int
    made: int
    missing: int
    first_order: bool


@record
class PartnerWay:
    """Months in a row on target, and this month so far. Fen. ``open``: the role that partners come from is held."""

    target_fen: int
    months: int
    streak: int
    this_month_fen: int
    missing_fen: int
    open: bool


@record
class KeepPlan:
    """What keeps a role. ``until``: the day by which it must be done when a warning stands, else None.

    For partner: ``missing_fen`` of this month's target and ``below`` months in a row below it, of ``limit``; for gold:
    ``missing_orders``.
    """

    role: Role
    falls_to: Role
    until: date | None
    missing_fen: int = 0
    target_fen: int = 0
    below: int = 0
    limit: int = 0
    missing_orders: int = 0


@record
class RoleCard:
    """``held``: highest first, empty for a member. ``gold`` and ``partner``: the ways up that are still ahead."""

    role: Role
    held: tuple[Held, ...]
    gold: GoldWay | None
    partner: PartnerWay | None
    keep: tuple[KeepPlan, ...]
    badges: tuple[BadgeView, ...]


@record
class _Known:
    """What is read of one person, once."""

    book: Rulebook | None
    grants: tuple[RoleGrant, ...]
    purchases: tuple[Purchase, ...]
    sold: Mapping[date, int]
    warned: Mapping[Role, Warned]
    counts_after: date | None
    now: datetime

    @property
    def month(self) -> date:
        return month_of(business_date(self.now))

    def past(self, months: int) -> tuple[int, ...]:
        """Volumes of the finished months that count, newest first."""
        return volumes.newest_first(dict(self.sold), later(self.month, -1), months, self.counts_after)


def card(session: Session, person_id: int, now: datetime) -> RoleCard:
    """The card of a person at ``now``; an unknown one is a member."""
    alive = survivors(session, [person_id]).get(person_id, person_id)
    known = _read(session, alive, now)
    held = tuple(sorted((_held(session, known, grant) for grant in known.grants),
                        key=lambda one: (-ROLES.index(one.role), one.since)))
    role = highest(one.role for one in held)
    gold = known.book.gold if known.book else None
    partner = known.book.partner if known.book else None
    above_gold = ROLES.index(role) >= ROLES.index("gold")
    return RoleCard(
        role=role, held=_one_each(held),
        gold=_gold_way(known, gold) if gold and not above_gold else None,
        partner=_partner_way(known, partner, role) if partner and role != "partner" else None,
        keep=tuple(_keep(known, held)), badges=tuple(honours.badges_of(session, [alive], now).get(alive, ())),
    )


def _read(session: Session, person_id: int, now: datetime) -> _Known:
    book = rulebooks.shelf(session).at(now)
    grants = session.scalars(select(RoleGrant).where(RoleGrant.person_id == person_id, RoleGrant.revoked_at.is_(None)),
                             execution_options={"populate_existing": True}).all()
    bought = repurchase.purchases_of(session, [person_id], book.gold) if book and book.gold else {}
    months = max(book.partner.months, book.partner.below_months) if book and book.partner else 0
    this_month = month_of(business_date(now))
    sold = volumes.direct_net(session, [person_id], [later(this_month, -back) for back in range(months + 1)])
    cut = decisions.counts_after(session, [person_id], "partner").get(person_id)
    return _Known(book, tuple(grants), tuple(bought.get(person_id, ())), sold.get(person_id, {}),
                  decisions.warnings(session, [person_id]).get(person_id, {}), month_of(cut) if cut else None, now)


def _one_each(held: tuple[Held, ...]) -> tuple[Held, ...]:
    """Each role once, with the cause that has stood longest."""
    seen: dict[Role, Held] = {}
    for one in held:
        seen.setdefault(one.role, one)
    return tuple(seen.values())


def _held(session: Session, known: _Known, grant: RoleGrant) -> Held:
    detail, provisional, final_on = grant.cause_key, False, None
    if grant.cause_kind == "order":
        number = session.scalar(select(CustomerOrder.order_no).where(CustomerOrder.id == int(grant.cause_key)))
        detail = number or ""
    elif grant.cause_kind == repurchase.BY_REPURCHASE:
        needed = int(grant.evidence.get("needed", 0))
        detail, provisional = str(needed), grant.confirmed_at is None
        final_on = _final_on(known, needed) if provisional else None
    return Held(cast(Role, grant.role), grant.granted_at, grant.cause_kind, detail, provisional, final_on)


def _final_on(known: _Known, needed: int) -> date | None:
    """The day on which enough orders will have outlived their return windows, if all of those were received."""
    ends = sorted(one.final_at for one in known.purchases if one.final_at is not None and one.lost_at is None)
    if len(ends) <= needed or final_repurchases(known.purchases, known.now) >= needed:
        return None
    return business_date(ends[needed])


def _gold_way(known: _Known, rules: Gold) -> GoldWay:
    made = repurchases(known.purchases, known.now)
    any_order = any(one.paid_at <= known.now and one.lost_at is None for one in known.purchases)
    return GoldWay(rules.at_least, made, max(0, rules.at_least - made), not any_order)


def _partner_way(known: _Known, rules: Partner, role: Role) -> PartnerWay:
    this_month = known.sold.get(known.month, 0)
    done = min(streak(known.past(rules.months), rules.at_least_fen), rules.months)
    is_open = ROLES.index(role) >= ROLES.index(cast(Role, rules.from_role))
    return PartnerWay(rules.at_least_fen, rules.months, done, this_month, max(0, rules.at_least_fen - this_month),
                      is_open)


def _keep(known: _Known, held: tuple[Held, ...]) -> list[KeepPlan]:
    plans = []
    for one in held:
        others = highest(other.role for other in held if other.role != one.role)
        until = _until(known, one.role)
        rules = known.book
        if one.role == "partner" and one.because == "assessment" and rules and rules.partner:
            target, sold = rules.partner.at_least_fen, known.sold.get(known.month, 0)
            since = month_of(business_date(one.since))
            judged = [fen for back, fen in enumerate(known.past(rules.partner.below_months), 1)
                      if later(known.month, -back) > since]
            plans.append(KeepPlan("partner", others, until, max(0, target - sold), target,
                                  misses(judged, target), rules.partner.below_months))
        elif one.role == "gold" and one.because == repurchase.BY_REPURCHASE and rules and rules.gold:
            missing = max(0, rules.gold.at_least - repurchases(known.purchases, known.now))
            plans.append(KeepPlan("gold", others, until, missing_orders=missing))
    return plans


def _until(known: _Known, role: Role) -> date | None:
    warned = known.warned.get(role)
    if warned is None or known.book is None:
        return None
    return deadline(warned, notice_of(known.book, role))
