"""What the live plan means for one person: their rates now, where they stand this month, and what selling more would
bring. Estimates: the month is settled when it is over."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from domain.catalog import queries as catalog
from domain.commissions import ladder as ladders
from domain.commissions import service as commissions
from domain.commissions.document import EARNERS, Phase, Plan, Rule, Step
from domain.commissions.models import CommissionPlan
from domain.commissions.rules import rule_for
from domain.commissions.volumes import Volume, sold
from domain.roles import queries as roles
from domain.roles.rules import Role
from domain.shared.clock import business_date, month_bounds
from domain.shared.money import BPS, share
from domain.shared.records import record

SHOWN_RATES = 12
"""Rates that a message or a page lists for a level; a plan with hundreds of product rules names the best of them."""


@record
class Rate:
    """What a sale of some goods brings at a level: ``rate_bps`` now, ``rule_bps`` without phase and boost.

    The goods: ``sku`` with its ``title``, or ``category``, or all others when both are ''; ``only``: the level knows no
    other rate, so it is for all goods.
    """

    level: int
    sku: str
    title: str
    category: str
    rate_bps: int
    rule_bps: int
    only: bool = False


@record
class LadderNow:
    """Where somebody stands this month: volume so far, what it brings on top so far, the step reached and the next.

    ``missing_fen`` is None at the top.
    """

    mode: str
    steps: tuple[Step, ...]
    volume_fen: int
    earned_fen: int
    rate_bps: int
    next_bps: int
    missing_fen: int | None


@record
class TeamNow:
    """The team bonus: ``mine`` when the person's role earns it; volume and bonus of this month so far."""

    rate_bps: int
    roles: tuple[str, ...]
    mine: bool
    volume_fen: int
    earned_fen: int


@record
class Coming:
    """The next version that was published and is not live yet."""

    version: int
    live_from: datetime


@record
class Terms:
    """A plan as one person lives it. ``earns``: whether this role earns at all. ``boost_bps``: as limited by the plan,
    12 000 = x1.2. ``month``: the first day of the one that ladder and team speak of."""

    plan: Plan
    role: Role
    earns: bool
    rates: tuple[Rate, ...]
    phase: Phase | None
    boost_bps: int
    ladder: LadderNow | None
    team: TeamNow | None
    coming: Coming | None
    month: date


@record
class Sale:
    """What a sale of one kind of goods would bring at once."""

    rate: Rate
    base_fen: int


@record
class WhatIf:
    """``volume_fen`` more sold this month: ``sales`` by kind of goods, and what the ladder would add to what it brings
    so far. ``reached``: the step of the ladder that would be new, None when it stays."""

    volume_fen: int
    sales: tuple[Sale, ...]
    ladder_fen: int
    before_fen: int
    after_fen: int
    reached: Step | None


def terms_of(session: Session, person_id: int, now: datetime) -> Terms:
    """The live plan for one person. Raises DomainError("no_plan") for a shop that never published one."""
    plan = commissions.live_plan(session, now)
    role = roles.roles_of(session, [person_id])[person_id]
    today = business_date(now)
    boost = min(commissions.boosts_at(session, [person_id], now).get(person_id, BPS), plan.boosts.max_bps)
    volume = sold(session, [person_id], *month_bounds(today)).get(person_id, Volume())
    earns = plan.earners == "everyone" or role in EARNERS
    rates = tuple(_rates(session, plan, role, today, boost)) if earns else ()
    return Terms(
        plan, role, earns, rates, plan.phase_on(today), boost,
        _ladder(plan, volume) if earns else None, _team(plan, role, volume), _coming(session, plan, now),
        today.replace(day=1),
    )


def what_if(terms: Terms, fen: int) -> WhatIf:
    """What selling ``fen`` more this month would bring, for each kind of goods sold directly."""
    sales = tuple(Sale(rate, share(fen, rate.rate_bps)) for rate in terms.rates if rate.level == 1)
    if terms.ladder is None or terms.plan.ladder is None:
        return WhatIf(fen, sales, 0, 0, 0, None)
    before = terms.ladder.volume_fen
    after = before + fen
    more = ladders.ladder_fen(terms.plan.ladder, after) - ladders.ladder_fen(terms.plan.ladder, before)
    old, new = (ladders.position(terms.plan.ladder, volume).step for volume in (before, after))
    return WhatIf(fen, sales, more, before, after, new if new != old else None)


def _rates(session: Session, plan: Plan, role: str, today: date, boost: int) -> Iterator[Rate]:
    """What differs from the plain rate, categories before products, the best first; then all other goods."""
    titles = {sku: one.title for sku, one in
              catalog.products(session, {rule.sku for rule in plan.rules if rule.sku}).items()}
    phase = plan.phase_on(today)
    for level in range(1, plan.levels + 1):
        plain = rule_for(plan, level, "", "", role)
        found = [_rate(plan, phase, boost, level, plain, "", "", "")] if plain and plain.rate_bps else []
        special = [
            _rate(plan, phase, boost, level, rule, sku, titles.get(sku, ""), category)
            for sku, category in dict.fromkeys((one.sku, one.category) for one in plan.rules if one.level == level)
            if (sku or category) and (rule := rule_for(plan, level, sku, category, role))
            and (plain is None or rule.rate_bps != plain.rate_bps)
        ]
        special.sort(key=lambda one: (bool(one.sku), -one.rate_bps))
        shown = special[: SHOWN_RATES - len(found)] + found
        yield from (replace(one, only=len(shown) == 1 and one in found) for one in shown)


def _rate(
    plan: Plan, phase: Phase | None, boost: int, level: int, rule: Rule, sku: str, title: str, category: str
) -> Rate:
    rate = plan.rate_with(rule.rate_bps, phase.factor_bps if phase else BPS, boost)
    return Rate(level, sku, title, category, rate, rule.rate_bps)


def _ladder(plan: Plan, volume: Volume) -> LadderNow | None:
    if plan.ladder is None:
        return None
    where = ladders.position(plan.ladder, volume.own_fen)
    return LadderNow(
        plan.ladder.mode, plan.ladder.steps, volume.own_fen, ladders.ladder_fen(plan.ladder, volume.own_fen),
        where.step.rate_bps if where.step else 0, where.next_step.rate_bps if where.next_step else 0,
        where.missing_fen if where.next_step else None,
    )


def _team(plan: Plan, role: str, volume: Volume) -> TeamNow | None:
    if plan.team is None:
        return None
    mine = role in plan.team.roles
    team_fen = max(volume.team_fen, 0)
    return TeamNow(plan.team.rate_bps, plan.team.roles, mine, volume.team_fen if mine else 0,
                   share(team_fen, plan.team.rate_bps) if mine else 0)


def _coming(session: Session, plan: Plan, now: datetime) -> Coming | None:
    """The next change that counts: the newest version whose day comes first, of those published after this one."""
    rows = session.execute(
        select(CommissionPlan.version, CommissionPlan.live_from)
        .where(CommissionPlan.version > plan.version, CommissionPlan.live_from > now)
        .order_by(CommissionPlan.live_from, CommissionPlan.version.desc()).limit(1)
    )
    return next((Coming(version, since) for version, since in rows), None)
